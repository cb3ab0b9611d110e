/** A text without what splits a secret in a log, and where each of its characters stood. */
export interface PlainText {
  readonly text: string;
  /** Places in the original. */
  readonly at: Uint32Array;
  /** An escape sequence that has not ended begins here; the original's length when there is none. */
  readonly openAt: number;
}

/** A longer escape sequence is none. */
const MAX_ESCAPE_CHARACTERS = 256;
const ESCAPE = 0x1b;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const DELETE = 0x7f;
const CONTROL_SEQUENCE = 0x5b; // [
const STRINGS = new Set([0x5d, 0x50, 0x58, 0x5e, 0x5f]); // ] P X ^ _

/** Where the escape sequence that begins at `start` ends; undefined when it goes on behind the text. */
const endOfEscape = (text: string, start: number): number | undefined => {
  const kind = text.charCodeAt(start + 1);
  if (Number.isNaN(kind)) return undefined;
  const limit = Math.min(text.length, start + MAX_ESCAPE_CHARACTERS);
  const isTooLong = limit < text.length;
  if (kind === CONTROL_SEQUENCE) {
    for (let at = start + 2; at < limit; at += 1) {
      const code = text.charCodeAt(at);
      if (code >= 0x40 && code <= 0x7e) return at + 1;
      // A character that belongs to no sequence ends it.
      if (code < 0x20 || code > 0x7e) return at;
    }
    return isTooLong ? start + 1 : undefined;
  }
  if (STRINGS.has(kind)) {
    for (let at = start + 2; at < limit; at += 1) {
      const code = text.charCodeAt(at);
      if (code === 0x07) return at + 1;
      if (code === ESCAPE) {
        if (at + 1 === text.length) return undefined;
        return text.charCodeAt(at + 1) === 0x5c ? at + 2 : at;
      }
    }
    return isTooLong ? start + 1 : undefined;
  }
  return start + (kind >= SPACE ? 2 : 1);
};

/**
 * Leaves out control characters, line ends with the indentation after them, and escape sequences: these whole, or with `inEscapes` only the
 * character that begins them, since a secret may also stand in one.
 */
export const plainTextOf = (text: string, { inEscapes = false } = {}): PlainText => {
  const at = new Uint32Array(text.length);
  const codes = new Uint16Array(text.length);
  let length = 0;
  let position = 0;
  let isIndentation = false;
  let openAt = text.length;
  while (position < text.length) {
    const code = text.charCodeAt(position);
    if (code === ESCAPE && !inEscapes) {
      const end = endOfEscape(text, position);
      if (end === undefined) {
        openAt = position;
        break;
      }
      position = end;
      continue;
    }
    if (code === NEWLINE) isIndentation = true;
    else if (code >= SPACE && code !== DELETE && !(isIndentation && code === SPACE)) {
      isIndentation = false;
      codes[length] = code;
      at[length] = position;
      length += 1;
    } else if (code === TAB && !isIndentation) {
      codes[length] = code;
      at[length] = position;
      length += 1;
    }
    position += 1;
  }
  return { text: textOf(codes, length), at, openAt };
};

const PIECE = 8192;
const textOf = (codes: Uint16Array, length: number): string => {
  let text = '';
  for (let from = 0; from < length; from += PIECE) text += String.fromCharCode(...codes.subarray(from, Math.min(length, from + PIECE)));
  return text;
};

/** What stands between the digits of a dump: `68:75`, `0x68, 0x75`, `\x68\x75`, `%68%75`, `\u0068`, `68-75`, quotes and brackets of a list. */
const BETWEEN_DIGITS = new Set([...' \t:,-\\xXuU%\'"[]{}|;_'].map((character) => character.charCodeAt(0)));

/** A mark of what is no digit and stands between none. */
const OTHER = 0x2e; // .

/** The hexadecimal digits of a text in lower case, without what stands between them; `0x` loses its zero. Anything else is one `.`. */
export const hexTextOf = (plain: PlainText): { readonly text: string; readonly at: Uint32Array } => {
  const { text } = plain;
  const at = new Uint32Array(text.length);
  const codes = new Uint16Array(text.length);
  let length = 0;
  for (let position = 0; position < text.length; position += 1) {
    let code = text.charCodeAt(position);
    if (code >= 0x41 && code <= 0x46) code += 0x20;
    const isDigit = (code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66);
    if (isDigit && code === 0x30 && (text.charCodeAt(position + 1) | 0x20) === 0x78) continue;
    if (!isDigit && BETWEEN_DIGITS.has(code)) continue;
    if (!isDigit && codes[length - 1] === OTHER) continue;
    codes[length] = isDigit ? code : OTHER;
    at[length] = plain.at[position] ?? 0;
    length += 1;
  }
  return { text: textOf(codes, length), at };
};
