import { plainTextOf } from './plain-text.js';

/** Shorter texts are not hidden: they would hide half of every log. */
export const MIN_SECRET_LENGTH = 4;
/** Shorter pieces of base64 occur by chance. */
const MIN_BASE64_LENGTH = 6;
/** A line of a longer secret (a private key) is hidden by itself from this length on: logs are read by line. */
const MIN_LINE_LENGTH = 16;
/** Fewer hexadecimal digits occur by chance: 6 bytes. */
const MIN_HEX_LENGTH = 12;

/**
 * The base64 texts that stay the same whatever stands before and after the secret: one for each place within a group of three bytes.
 * So the header of a basic authentication (`user:secret`) is found too.
 */
const base64Forms = (bytes: Buffer): string[] =>
  [0, 1, 2].map((shift) => {
    const shifted = Buffer.concat([Buffer.alloc(shift), bytes]);
    const start = Math.ceil((shift * 8) / 6);
    const end = Math.floor((shifted.length * 8) / 6);
    return shifted.toString('base64').slice(start, end);
  });

export interface SecretForms {
  /** As texts, in plain text. */
  readonly texts: readonly string[];
  /** As hexadecimal digits in lower case. */
  readonly digits: readonly string[];
}

/** Every way in which a secret is expected in a log: as it is, in base64, hexadecimal, a URL, a form, JSON, a shell's quotes, and by line. */
export const secretForms = (text: string): SecretForms => {
  if (text.length < MIN_SECRET_LENGTH) return { texts: [], digits: [] };
  const bytes = Buffer.from(text, 'utf8');
  // A lone surrogate cannot stand in a URL.
  const wellFormed = bytes.toString('utf8');
  const uri = encodeURIComponent(wellFormed);
  const strictUri = uri.replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  const inLowerCase = (encoded: string): string => encoded.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase());
  // As `curl -H "Authorization: ..." $(echo "$SECRET" | base64)` has it: with the line's end.
  const encoded = [bytes.toString('base64'), ...base64Forms(bytes), ...base64Forms(Buffer.from(bytes.toString('base64')))];
  const base64 = encoded.filter((form) => form.length >= MIN_BASE64_LENGTH);
  const lines = text.includes('\n')
    ? text.split(/\r?\n/).filter((line) => line.length >= MIN_LINE_LENGTH && !line.startsWith('-----'))
    : [];
  const quoted = JSON.stringify(text).slice(1, -1);
  const inAscii = quoted.replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const forms = [
    text,
    ...[uri, strictUri, uri.replaceAll('%20', '+'), strictUri.replaceAll('%20', '+'), encodeURI(wellFormed)].flatMap((form) => [
      form,
      inLowerCase(form),
    ]),
    quoted,
    inAscii,
    JSON.stringify(quoted).slice(1, -1),
    quoted.replaceAll('/', '\\/'),
    text.replaceAll("'", "'\\''"),
    text.replaceAll("'", `'"'"'`),
    text.replace(/[^A-Za-z0-9_/.,:=@%+-]/g, '\\$&'),
    text.replace(/["$`\\]/g, '\\$&'),
    ...base64,
    ...base64.map((form) => form.replaceAll('+', '-').replaceAll('/', '_')),
    ...lines,
    ...lines.flatMap((line) => base64Forms(Buffer.from(line))),
  ];
  const texts = forms.map((form) => plainTextOf(form).text).filter((form) => form.length >= MIN_SECRET_LENGTH);
  const digits = [bytes, ...lines.map((line) => Buffer.from(line)), Buffer.from(text, 'utf16le').swap16()].map((each) =>
    each.toString('hex'),
  );
  return { texts: [...new Set(texts)], digits: [...new Set(digits)].filter((form) => form.length >= MIN_HEX_LENGTH) };
};
