import { PluginError } from '@pipit/core';

const BYTES_PER_UNIT = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** For JSON Schema. */
export const BYTE_SIZE_PATTERN = '^[1-9][0-9]{0,5}(KiB|MiB|GiB)$';

const isUnit = (text: string | undefined): text is keyof typeof BYTES_PER_UNIT => text !== undefined && Object.hasOwn(BYTES_PER_UNIT, text);

/**
 * The bytes of a size such as `512KiB`, `100MiB` or `2GiB`.
 *
 * @throws PluginError `INVALID_BYTE_SIZE` (stop)
 */
export const parseByteSize = (text: string): number => {
  const unit = new RegExp(BYTE_SIZE_PATTERN).exec(text)?.[1];
  if (isUnit(unit)) return Number(text.slice(0, -unit.length)) * BYTES_PER_UNIT[unit];
  throw new PluginError({
    code: 'INVALID_BYTE_SIZE',
    message: 'Not a valid size',
    hint: 'Write a whole number and a unit (KiB, MiB or GiB), for example 2GiB.',
    recovery: 'stop',
  });
};
