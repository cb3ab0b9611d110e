import { isPluginError } from '@pipit/core';
import { expect, it } from 'vitest';
import { parseByteSize } from '../src/byte-size.js';

it.each([
  ['1KiB', 1024],
  ['100MiB', 104_857_600],
  ['2GiB', 2_147_483_648],
])('reads %s', (text, bytes) => {
  expect(parseByteSize(text)).toBe(bytes);
});

it.each(['', '2', 'GiB', '0GiB', '-1GiB', '1.5GiB', '2 GiB', '2GB', '2gib', '1e3KiB', '9999999GiB', '2GiB\n'])('refuses %j', (text) => {
  let thrown: unknown;
  try {
    parseByteSize(text);
  } catch (error) {
    thrown = error;
  }
  expect(isPluginError(thrown) && thrown.code).toBe('INVALID_BYTE_SIZE');
});
