import { PluginError } from '@pipit/core';

const MS_PER_UNIT = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Longer waits are mistakes, and dates stay far from what a date can hold. */
const MAX_DURATION_MS = 365 * MS_PER_UNIT.d;

/** For JSON Schema. */
export const DURATION_PATTERN = '^[0-9]{1,12}(ms|s|m|h|d)$';

const isUnit = (text: string): text is keyof typeof MS_PER_UNIT => Object.hasOwn(MS_PER_UNIT, text);

/**
 * The milliseconds of a duration such as `500ms`, `30s`, `30m`, `2h` or `1d` (24 hours): a whole number and a unit, at most `365d`.
 *
 * @throws PluginError `INVALID_DURATION` (stop)
 */
export const parseDurationMs = (text: string): number => {
  const match = new RegExp(DURATION_PATTERN).exec(text);
  const unit = match?.[1];
  if (unit !== undefined && isUnit(unit)) {
    const milliseconds = Number(text.slice(0, -unit.length)) * MS_PER_UNIT[unit];
    if (milliseconds <= MAX_DURATION_MS) return milliseconds;
  }
  throw new PluginError({
    code: 'INVALID_DURATION',
    message: 'Not a valid duration',
    hint: 'Write a whole number and a unit (ms, s, m, h or d), for example 30m; at most 365d.',
    recovery: 'stop',
  });
};
