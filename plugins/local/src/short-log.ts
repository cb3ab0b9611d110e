/** Enough for what a failing script says last, and little enough to stand in a report of each host. */
export const MAX_REPORTED_LOG_BYTES = 4 * 1024;

/** Source: ECMA-48 5.4 (CSI ... final byte) and 5.6 (OSC ... BEL or ST): colours, cursor moves, titles. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it takes away
const ESCAPE_SEQUENCES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])/g;
/** Also what turns the direction of the text that is shown after it. */
const CONTROL_CHARACTERS = /(?!\n)[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/**
 * The end of what code of a repository printed, as text that may be stored and shown: whole lines where there are any, at most so many bytes,
 * no control characters but line breaks.
 */
export const shortLog = (text: string, maxBytes = MAX_REPORTED_LOG_BYTES): string => {
  // Cleaning makes a text shorter, never longer in bytes than this.
  const clean = text
    .slice(-8 * maxBytes)
    .replace(ESCAPE_SEQUENCES, '')
    .replace(/\r\n?/g, '\n')
    .replace(/\t/g, ' ')
    .replace(CONTROL_CHARACTERS, '')
    .trimEnd();
  const bytes = Buffer.from(clean);
  if (bytes.length <= maxBytes) return clean;
  let begin = bytes.length - maxBytes;
  // A character is never cut in two.
  while (((bytes[begin] ?? 0) & 0xc0) === 0x80) begin += 1;
  const cut = bytes.subarray(begin).toString('utf8');
  return cut.slice(cut.indexOf('\n') + 1);
};
