import { z } from 'zod';

const MS_BY_UNIT: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const BYTES_BY_UNIT: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

const measured = (units: Readonly<Record<string, number>>, example: string) => {
  const pattern = new RegExp(`^([1-9][0-9]{0,8})(${Object.keys(units).join('|')})$`);
  return z
    .string()
    .regex(pattern, `expected a number and a unit, for example ${example}`)
    .transform((text) => {
      const [, count = '', unit = ''] = pattern.exec(text) ?? [];
      return Number(count) * (units[unit] ?? Number.NaN);
    });
};

/** A text such as `30m`, read as milliseconds. */
export const duration = () => measured(MS_BY_UNIT, '30m');

/** A text such as `10MiB`, read as bytes. */
export const byteSize = () => measured(BYTES_BY_UNIT, '10MiB');
