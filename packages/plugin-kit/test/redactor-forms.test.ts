import { describe, expect, it } from 'vitest';
import { createRedactor } from '../src/index.js';

const secret = 'hunter2-Xk9$Qv/ä"s\'w0rd+end';
const bytes = Buffer.from(secret);
const hex = bytes.toString('hex');
const pairs = hex.match(/../g) ?? [];
const key = `-----BEGIN PRIVATE KEY-----\n${Array.from({ length: 12 }, (_, at) => Buffer.from(`line ${at} of a key, it has some 45 bytes`).toString('base64').slice(0, 64)).join('\n')}\n-----END PRIVATE KEY-----\n`;

const redactorOf = (...secrets: readonly string[]) => {
  const redactor = createRedactor();
  for (const each of secrets) redactor.register(each);
  return redactor;
};
const wrapped = (text: string, columns: number, end = '\n'): string => (text.match(new RegExp(`.{1,${columns}}`, 'g')) ?? []).join(end);
const escaped = (text: string): string =>
  [...text].map((character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
const split = (by: string): string => `${secret.slice(0, 9)}${by}${secret.slice(9, 15)}${by}${secret.slice(15)}`;
/** Long enough to be wrapped. */
const longSecret = Array.from({ length: 12 }, (_, at) => `part-${at}-of-it/`).join('');

const FORMS: readonly (readonly [string, string, string])[] = [
  ['hexadecimal', secret, hex],
  ['upper-case hexadecimal', secret, hex.toUpperCase()],
  ['hexadecimal with colons', secret, pairs.join(':')],
  ['hexadecimal with spaces', secret, pairs.join(' ')],
  ['as hexdump has it', secret, wrapped(pairs.join(' '), 48)],
  ['escaped as a shell does', secret, pairs.map((pair) => `\\x${pair}`).join('')],
  ['a list of numbers', secret, `[${pairs.map((pair) => `0x${pair}`).join(', ')}]`],
  ['percent-encoded throughout', secret, pairs.map((pair) => `%${pair}`).join('')],
  ['escaped as JSON may be', secret, escaped(secret)],
  ['JSON in JSON', secret, JSON.stringify(JSON.stringify(secret)).slice(3, -3)],
  ['base64', secret, bytes.toString('base64')],
  ['base64 behind one byte', secret, Buffer.from(`x${secret}`).toString('base64').slice(2)],
  ['base64 behind two bytes', secret, Buffer.from(`xy${secret}`).toString('base64').slice(3)],
  ['base64url', secret, bytes.toString('base64url')],
  ['base64 of base64', secret, Buffer.from(bytes.toString('base64')).toString('base64')],
  ['base64 in lines of 76', longSecret, wrapped(Buffer.from(longSecret).toString('base64'), 76)],
  ['base64 in lines of 64 for Windows', longSecret, wrapped(Buffer.from(longSecret).toString('base64'), 64, '\r\n')],
  ['base64 in indented lines', longSecret, wrapped(Buffer.from(longSecret).toString('base64'), 60, '\n    ')],
  ['base64 in lines of 4', secret, wrapped(bytes.toString('base64'), 4)],
  ['quoted for a shell', secret, secret.replaceAll("'", "'\\''")],
  ['escaped for a shell', secret, secret.replace(/[^A-Za-z0-9_/.,:=@%+-]/g, '\\$&')],
  ['split by colours', secret, split('\u001b[31m')],
  ['split by a title', secret, split('\u001b]0;title\u0007')],
  ['split by a link', secret, split('\u001b]8;;https://example.org\u001b\\')],
  ['split by carriage returns', secret, split('\r')],
  ['split by backspaces', secret, split('\b')],
  ['split by NULs', secret, split('\0')],
  ['split by a terminal at its edge', secret, split('\r\n')],
  ['in a title', secret, `\u001b]0;${secret}\u0007`],
  ['in a sequence that never ends', secret, `\u001b]0;${secret}`],
  ['hexadecimal split by colours', secret, `${hex.slice(0, 11)}\u001b[0m${hex.slice(11)}`],
];

describe('a secret that is', () => {
  it.each(FORMS)('%s is hidden, whole and in pieces of any size', (_form, text, shown) => {
    const redactor = redactorOf(text);
    const log = `before ${shown} after`;
    const redacted = redactor.redact(log);
    expect(redacted).toMatch(/^before .*\[secret\].* after$/su);
    // Of base64, the characters at its ends depend on what stands beside it.
    expect(redacted.length).toBeLessThan('before [secret] after'.length + 10);
    for (const size of [1, 3, 7]) {
      const stream = redactor.stream();
      let pieces = '';
      for (let at = 0; at < log.length; at += size) pieces += stream.write(log.slice(at, at + size));
      expect(pieces + stream.flush()).toBe(redacted);
    }
    expect(redactor.holdsSecret(log)).toBe(true);
    expect(redactor.holdsSecret('before after')).toBe(false);
  });
});

describe('a stream', () => {
  it('shows neither half of a secret that comes in two pieces, whatever comes between them', () => {
    const stream = redactorOf('hunter2-of-production').stream();
    expect(stream.write('it is hunter2-')).toBe('it is ');
    expect(stream.write('\u001b[3')).toBe('');
    expect(stream.write('1m')).toBe('');
    expect(stream.write('\r\n')).toBe('');
    expect(stream.write('of-production!')).toBe('[secret]!');
  });

  it('holds back no more than it must of a beginning that is stretched without end', () => {
    const stream = redactorOf('hunter2-of-production').stream();
    let shown = stream.write('hunter2-');
    for (let at = 0; at < 100; at += 1) shown += stream.write('\n'.repeat(2_000));
    shown += stream.write('of-production end');
    expect(shown + stream.flush()).toMatch(/^\n*\[secret\] end$/);
  });

  it('hides each line of a key that comes line by line', () => {
    const stream = redactorOf(key).stream();
    const shown = key.split('\n').map((line, at) => stream.write(`${at}: ${line}\n`));
    const text = shown.join('') + stream.flush();
    for (const line of key.split('\n').filter((each) => !each.startsWith('---') && each !== ''))
      expect(text).not.toContain(line.slice(4, 20));
  });
});

describe('what is no secret', () => {
  it.each([
    ['a short one whose letters end the lines', 'abcd', 'ab\ncd'],
    ['hexadecimal of a short one', 'abcd', '61626364'],
    ['a word of its letters', 'abcd', 'abXcd'],
  ])('is shown: %s', (_what, text, log) => expect(redactorOf(text).redact(log)).toBe(log));

  it('is not taken for one that may not be stored when the secret is short', () => {
    expect(redactorOf('test').holdsSecret('job/test/1')).toBe(false);
  });

  it('is shown once the secret was taken back', () => {
    const redactor = redactorOf('hunter2-of-production');
    redactor.release('hunter2-of-production');
    expect(redactor.redact('hunter2-of-production')).toBe('hunter2-of-production');
  });
});
