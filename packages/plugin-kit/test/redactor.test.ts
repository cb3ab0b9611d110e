import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRedactor } from '../src/index.js';

const secret = 'p/ä"ss\\w0rd+with spaces\'';

describe('createRedactor', () => {
  it.each([
    ['plain', secret],
    ['base64', Buffer.from(secret).toString('base64')],
    ['base64url', Buffer.from(secret).toString('base64url')],
    ['part of basic authentication', Buffer.from(`robot:${secret}`).toString('base64')],
    ['URI-encoded', encodeURIComponent(secret)],
    ['form-encoded', encodeURIComponent(secret).replaceAll('%20', '+')],
    ['JSON-escaped', JSON.stringify({ secret })],
  ])('hides a secret that is %s', (_name, text) => {
    const redactor = createRedactor();
    redactor.register(secret);
    const shown = redactor.redact(`before ${text} after`);
    expect(shown).toMatch(/^before .*\[secret\].* after$/);
    expect(shown).not.toContain(text.slice(12, -8));
  });

  it('hides the longer of two secrets that begin alike, and overlapping ones together', () => {
    const redactor = createRedactor();
    redactor.register('token');
    redactor.register('token-of-production');
    expect(redactor.redact('a token-of-production b token c')).toBe('a [secret] b [secret] c');
    redactor.register('production-key');
    expect(redactor.redact('x token-of-production-key y')).toBe('x [secret] y');
  });

  it('hides each line of a key', () => {
    const redactor = createRedactor();
    redactor.register('-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nZXhhbXBsZSBrZXkgbWF0ZXJpYWw\n-----END KEY-----\n');
    expect(redactor.redact('2: ZXhhbXBsZSBrZXkgbWF0ZXJpYWw')).toBe('2: [secret]');
  });

  it('ignores texts shorter than 4 characters', () => {
    const redactor = createRedactor();
    redactor.register('abc');
    redactor.register('');
    expect(redactor.redact('abc')).toBe('abc');
  });

  it('shows in a stream what it shows in a whole, wherever the pieces are cut', () => {
    const secrets = ['token', 'token-of-production', 'aaaa', 'xab1', 'b123'];
    const redactor = createRedactor();
    for (const text of secrets) redactor.register(text);
    const word = fc.oneof(fc.constantFrom(...secrets, 'token-', 'aaa', 'xa', ' ', '\n'), fc.string({ maxLength: 5 }));
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), fc.array(fc.nat({ max: 9 }), { minLength: 1, maxLength: 30 }), (words, sizes) => {
        const text = words.join('');
        const stream = redactor.stream();
        let shown = '';
        let position = 0;
        for (let index = 0; position < text.length; index += 1) {
          const size = (sizes[index % sizes.length] ?? 0) + 1;
          shown += stream.write(text.slice(position, position + size));
          position += size;
        }
        expect(shown + stream.flush()).toBe(redactor.redact(text));
      }),
      { numRuns: 2_000 },
    );
  });

  it('shows what cannot be a secret at once', () => {
    const redactor = createRedactor();
    redactor.register('s3cret');
    const stream = redactor.stream();
    expect(stream.write('line\n')).toBe('line\n');
    expect(stream.write('has s3')).toBe('has ');
    expect(stream.write('x')).toBe('s3x');
  });

  it('holds back only so much of a secret without end', () => {
    const redactor = createRedactor();
    redactor.register('aaaa');
    const stream = redactor.stream();
    let shown = '';
    for (let index = 0; index < 200; index += 1) shown += stream.write('a'.repeat(1_000));
    expect(shown).toContain('[secret]');
    expect(shown + stream.flush()).not.toContain('a');
  });
});
