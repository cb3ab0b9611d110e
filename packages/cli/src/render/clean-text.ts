// What others wrote (a branch, a log, a host's answer) may hold escapes that move the cursor or turn text around; none of them reaches a terminal.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it finds
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-_])/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it finds
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** Text of others with its lines and tabs, without anything that a terminal would obey. */
export const cleanBlock = (text: string): string => text.replace(ESCAPES, '').replace(/\r\n?/g, '\n').replace(CONTROLS, '');

/** The same on one line. */
export const cleanLine = (text: string): string =>
  cleanBlock(text)
    .replace(/[\n\t]+/g, ' ')
    .trim();
