/** Enough for what a failing script says last, and little enough to stand in a report of each host. */
const MAX_REPORTED_BYTES = 4 * 1024;

/** Source: ECMA-48 5.4 (CSI ... final byte) and 5.6 (OSC ... BEL or ST): colours, cursor moves, titles. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it takes away
const ESCAPE_SEQUENCES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])/g;
/** Also what turns the direction of the text that is shown after it. */
const CONTROL_CHARACTERS = /(?!\n)[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** The end of what a host printed, as text that may be stored and shown: whole lines, at most 4 KiB, no control characters but line breaks. */
export const shortLog = (text: string): string => {
  const clean = text.replace(ESCAPE_SEQUENCES, '').replace(/\r\n?/g, '\n').replace(/\t/g, ' ').replace(CONTROL_CHARACTERS, '').trim();
  const bytes = Buffer.from(clean);
  if (bytes.length <= MAX_REPORTED_BYTES) return clean;
  const cut = bytes.subarray(bytes.length - MAX_REPORTED_BYTES).toString('utf8');
  return cut.slice(cut.indexOf('\n') + 1);
};
