import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { format, inspect } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { createSecret, isSecret } from '../src/index.js';

const TEXT = 'hunter2-very-secret';
const secret = createSecret(TEXT);

/** Walks keys as a structured logger's serialiser does. */
const walk = (value: unknown): string => {
  if (typeof value !== 'object' || value === null) return String(value);
  const parts: string[] = [];
  for (const key in value) parts.push(key, walk(Reflect.get(value, key)));
  return parts.join(' ');
};

const printed = (print: (console: Console) => void): string => {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  print(new Console(stream));
  return text;
};

describe('a secret', () => {
  it('gives its text only when asked to reveal it', () => {
    expect(secret.reveal()).toBe(TEXT);
  });

  const prints: Readonly<Record<string, () => string>> = {
    'JSON.stringify': () => JSON.stringify({ token: secret, list: [secret] }),
    'a template': () => `${secret}`,
    concatenation: () => `a${String(secret)}`,
    toString: () => secret.toString(),
    'util.inspect': () => inspect({ token: secret }),
    'util.inspect with everything shown': () => inspect(secret, { showHidden: true, depth: null, customInspect: true }),
    'util.format': () => format('%s %o %O %j', secret, secret, secret, secret),
    console: () => printed((console) => console.log(secret, { secret })),
    'console.table': () => printed((console) => console.table([{ secret }])),
    'an error message': () => new Error(`cannot log in with ${secret}`).message,
  };

  it.each(Object.entries(prints))('is hidden in %s', (_name, print) => {
    const text = print();
    expect(text).not.toContain(TEXT);
    expect(text).toContain('[secret]');
  });

  it('is hidden where an inspection leaves custom printing aside', () => {
    expect(inspect(secret, { showHidden: true, customInspect: false, depth: null, getters: true })).not.toContain(TEXT);
    expect(printed((console) => console.dir({ secret }))).toBe('{ secret: {} }\n');
  });

  it('leaves nothing behind in a spread, in Object.assign, in entries or for a logger that walks keys', () => {
    expect({ ...secret }).toEqual({});
    expect(Object.assign({}, secret)).toEqual({});
    expect(Object.entries(secret)).toEqual([]);
    expect(walk({ token: secret })).not.toContain(TEXT);
  });

  it('never crosses structuredClone with its text', () => {
    // Its properties are not enumerable, so the clone is an empty object, which is no secret and reveals nothing.
    const clone: unknown = structuredClone({ token: secret });
    expect(clone).toEqual({ token: {} });
    expect(isSecret((clone as { token: unknown }).token)).toBe(false);
  });

  it('cannot be changed', () => {
    expect(() => Object.assign(secret, { reveal: () => 'other' })).toThrow(TypeError);
    expect(() => Object.defineProperty(secret, 'toJSON', { value: () => secret.reveal() })).toThrow(TypeError);
  });

  it('is recognised when another copy of core made it', async () => {
    vi.resetModules();
    const other = await import('../src/secret.js');
    expect(other.createSecret).not.toBe(createSecret);
    expect(isSecret(other.createSecret(TEXT))).toBe(true);
    expect(other.isSecret(secret)).toBe(true);
  });

  it.each([null, undefined, TEXT, {}, { reveal: () => TEXT }, () => TEXT])('is not %s', (value) => {
    expect(isSecret(value)).toBe(false);
  });
});
