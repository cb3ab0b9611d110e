import { z } from 'zod';

const MS_BY_UNIT: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };
const DURATION = /^([1-9][0-9]{0,5})(s|m|h)$/;

/** A text such as `30s`, read as milliseconds. */
export const duration = () =>
  z
    .string()
    .regex(DURATION, 'expected a number and a unit, for example 30s')
    .transform((text) => {
      const [, count = '', unit = ''] = DURATION.exec(text) ?? [];
      return Number(count) * (MS_BY_UNIT[unit] ?? Number.NaN);
    });
