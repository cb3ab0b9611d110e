import fc from 'fast-check';
import { expect, it } from 'vitest';
import { GIVEN_UP, type HostMark, readHandle, writeHandle } from '../src/batch-handle.js';

const marks: readonly HostMark[] = ['q', 's', ...(Object.keys(GIVEN_UP) as (keyof typeof GIVEN_UP)[])];

it('comes back as it was', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...marks), { maxLength: 60 }),
      fc.string({ maxLength: 200 }),
      fc.dictionary(fc.nat(59).map(String), fc.nat(), { maxKeys: 5, noNullPrototype: true }),
      (given, key, cut) => {
        const batch = { key, since: 1_790_000_000_000, marks: given, cut };
        expect(readHandle(writeHandle(batch), given.length)).toEqual(batch);
      },
    ),
  );
});

it('fits into 2,000 characters for a thousand hosts, also when all are cut off', () => {
  const many: readonly HostMark[] = Array.from({ length: 1000 }, (_, index) => (index % 5 === 0 ? 'u' : 's'));
  const cut = Object.fromEntries(many.map((_, index) => [String(index), 1_790_000_000_000]));
  expect(writeHandle({ key: 'k'.repeat(5_000), since: 1, marks: many, cut }).length).toBeLessThanOrEqual(2_000);
});

it.each([
  '',
  'x',
  '{}',
  '[]',
  'null',
  '{"v":2,"key":"k","at":1,"hosts":"s2"}',
  '{"v":1,"key":"k","at":1,"hosts":"z2"}',
  '{"v":1,"key":"k","at":1,"hosts":"s3"}',
])('is none when it is not of these hosts: %s', (handle) => {
  expect(readHandle(handle, 2)).toBeUndefined();
});
