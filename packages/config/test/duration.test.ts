import { isPluginError } from '@pipit/core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseDurationMs } from '../src/index.js';

it.each([
  ['0s', 0],
  ['500ms', 500],
  ['30s', 30_000],
  ['30m', 1_800_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
  ['365d', 31_536_000_000],
])('reads %s', (text, milliseconds) => {
  expect(parseDurationMs(text)).toBe(milliseconds);
});

it.each(['', '30', 's', '-1s', '1.5h', '30 s', '30S', '1h30m', '366d', '1e3s', '999999999999d', ' 1s', '1s\n', '٣s'])(
  'refuses %j',
  (text) => {
    let thrown: unknown;
    try {
      parseDurationMs(text);
    } catch (error) {
      thrown = error;
    }
    expect(isPluginError(thrown) && thrown.code).toBe('INVALID_DURATION');
  },
);

it('means the same in every unit', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 365 }), (days) => {
      const inDays = parseDurationMs(`${days}d`);
      expect(parseDurationMs(`${days * 24}h`)).toBe(inDays);
      expect(parseDurationMs(`${days * 24 * 60}m`)).toBe(inDays);
      expect(parseDurationMs(`${days * 24 * 3600}s`)).toBe(inDays);
      expect(parseDurationMs(`${days * 24 * 3600 * 1000}ms`)).toBe(inDays);
    }),
  );
});

it('gives a whole number from 0 up to a year, or throws its own error, for any text', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.tuple(fc.nat(), fc.constantFrom('ms', 's', 'm', 'h', 'd', '', 'y')).map(([n, unit]) => `${n}${unit}`),
  );
  fc.assert(
    fc.property(texts, (text) => {
      try {
        const milliseconds = parseDurationMs(text);
        expect(Number.isSafeInteger(milliseconds) && milliseconds >= 0 && milliseconds <= 31_536_000_000).toBe(true);
      } catch (error) {
        if (!isPluginError(error)) throw error;
      }
    }),
  );
});
