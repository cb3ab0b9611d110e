import { expect, it } from 'vitest';
import { createMarkerScanner } from '../src/marker-scanner.js';

const nonce = 'ab'.repeat(16);
const begin = `\x1e${nonce} begin\n`;
const end = `\x1e${nonce} end `;

it.each([
  ['never ends its last marker', `${begin}${end}`, 'x'.repeat(1_000)],
  ['begins markers without end', `${begin}${end}`, end],
])('holds little of a host that %s', { timeout: 20_000 }, (_what, first, repeated) => {
  const scanner = createMarkerScanner(nonce);
  let given = scanner.add(first).length;
  for (let piece = 0; piece < 50_000; piece += 1) given += scanner.add(repeated).length;
  expect(given).toBe(0);
  expect(scanner.preamble().length).toBeLessThan(40_000);
  expect(scanner.end()).toBeUndefined();
});
