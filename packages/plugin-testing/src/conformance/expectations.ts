import { isPluginError, type PluginError, type Recovery } from '@pipit/core';
import { expect } from 'vitest';

/** An aborted call has this long to end, in real milliseconds: long enough for a slow machine, short enough to be called prompt. */
export const PROMPT_MS = 5_000;

/** What pipit stores comes back as it was: no dates, secrets, functions, undefined in arrays, NaN. */
export const expectPlainJson = (value: unknown, what: string): void => {
  expect(JSON.parse(JSON.stringify(value) ?? 'null'), `${what} must be plain JSON: what is stored has to come back equal`).toEqual(value);
  const strange: string[] = [];
  const walk = (part: unknown, path: string): void => {
    if (part === null || ['string', 'boolean', 'undefined'].includes(typeof part)) return;
    if (typeof part === 'number' && Number.isFinite(part)) return;
    const prototype: unknown = typeof part === 'object' ? Object.getPrototypeOf(part) : undefined;
    if (typeof part !== 'object' || !(Array.isArray(part) || prototype === Object.prototype || prototype === null)) {
      strange.push(path);
      return;
    }
    for (const [key, inner] of Object.entries(part)) walk(inner, `${path}.${key}`);
  };
  walk(value, what);
  expect(strange, `${what} must be plain JSON`).toEqual([]);
};

/** A handle: opaque, not empty, at most 2,000 characters. */
export const expectHandle = (handle: unknown): void => {
  expect(handle, 'a handle is a string').toBeTypeOf('string');
  expect(String(handle).length, 'the length of the handle').toBeGreaterThan(0);
  expect(String(handle).length, 'the length of the handle').toBeLessThanOrEqual(2_000);
};

export const expectCursor = (cursor: unknown): void => {
  expect(cursor, 'a cursor is a string').toBeTypeOf('string');
};

/** What a promise throws; a failure when it throws nothing. */
export const thrownBy = async (promise: Promise<unknown>, what: string): Promise<unknown> => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return expect.fail(`${what} was expected to be refused, but went through`);
};

/** A refusal that a person can act on: a PluginError with a code, a sentence, and this recovery. */
export const expectRefusal = async (
  promise: Promise<unknown>,
  what: string,
  expected: { readonly recovery: Recovery; readonly code?: string },
): Promise<PluginError> => {
  const error = await thrownBy(promise, what);
  if (!isPluginError(error)) return expect.fail(`${what} must be refused with a PluginError, not with ${String(error)}`);
  expect(error.code, `the code for ${what}`).toMatch(
    expected.code === undefined ? /^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$/ : new RegExp(`^${expected.code}$`),
  );
  expect(error.recovery, `the recovery for ${what}`).toBe(expected.recovery);
  expect(error.message.trim(), `the message for ${what}`).not.toBe('');
  return error;
};

/** What a promise gives; a failure when it has not ended after so many real milliseconds. */
export const within = async <T>(ms: number, promise: Promise<T>, what: string): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not end within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
};

/** Fails when a promise has neither resolved nor rejected {@link PROMPT_MS} after its signal was aborted. A rejection counts as an end. */
export const expectPromptEnd = async (promise: Promise<unknown>, what: string): Promise<void> => {
  const ended = promise.then(
    () => {},
    () => {},
  );
  await within(PROMPT_MS, ended, `${what}, its signal aborted,`);
};

/** A signal that is aborted already. */
export const abortedSignal = (): AbortSignal => AbortSignal.abort(new Error('Aborted by the conformance suite'));
