/** Shorter texts are not hidden: they would hide half of every log. */
export const MIN_SECRET_LENGTH = 4;
/** Shorter pieces of base64 occur by chance. */
const MIN_BASE64_LENGTH = 6;
/** A line of a longer secret (a private key) is hidden by itself from this length on: logs are read by line. */
const MIN_LINE_LENGTH = 16;

/**
 * The base64 texts that stay the same whatever stands before and after the secret: one for each place within a group of three bytes.
 * So the header of a basic authentication (`user:secret`) is found too.
 */
const base64Forms = (text: string): string[] =>
  [0, 1, 2].map((shift) => {
    const bytes = Buffer.concat([Buffer.alloc(shift), Buffer.from(text, 'utf8')]);
    const start = Math.ceil((shift * 8) / 6);
    const end = Math.floor((bytes.length * 8) / 6);
    return bytes.toString('base64').slice(start, end);
  });

/** Every way in which a secret is expected in a log: as it is, and in base64, in a URL, a form, JSON, a shell's quotes, and by line. */
export const secretForms = (text: string): readonly string[] => {
  if (text.length < MIN_SECRET_LENGTH) return [];
  // A lone surrogate cannot stand in a URL.
  const wellFormed = Buffer.from(text, 'utf8').toString('utf8');
  const uri = encodeURIComponent(wellFormed);
  const base64 = [Buffer.from(text, 'utf8').toString('base64'), ...base64Forms(text)].filter((form) => form.length >= MIN_BASE64_LENGTH);
  const lines = text.includes('\n')
    ? text.split(/\r?\n/).filter((line) => line.length >= MIN_LINE_LENGTH && !line.startsWith('-----'))
    : [];
  const forms = [
    text,
    uri,
    uri.replaceAll('%20', '+'),
    uri.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    encodeURI(wellFormed),
    JSON.stringify(text).slice(1, -1),
    text.replaceAll("'", "'\\''"),
    ...base64,
    ...base64.map((form) => form.replaceAll('+', '-').replaceAll('/', '_')),
    ...lines,
  ];
  return [...new Set(forms)].filter((form) => form.length >= MIN_SECRET_LENGTH);
};
