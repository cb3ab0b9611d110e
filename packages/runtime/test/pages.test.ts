import { createMemoryRecords } from '@pipit/pipeline';
import { describe, expect, it } from 'vitest';
import { listPage } from '../src/views/pages.js';

const lists = {
  runs: (before: string) => listPage(createMemoryRecords(), 'runs', { by: 'createdAt', cursor: 'instant', page: { before } }),
  audit: (before: string) => listPage(createMemoryRecords(), 'audit', { by: 'sequence', cursor: 'sequence', page: { before } }),
  events: (before: string) => listPage(createMemoryRecords(), 'events', { by: 'id', cursor: 'id', page: { before } }),
};

describe('a page', () => {
  it.each<[keyof typeof lists, string]>([
    ['runs', '2026-11-26T04:57:32.123Z'],
    ['audit', '1'],
    ['audit', '2147483647'],
    ['events', '019ac0de-0000-7000-8000-000000000000'],
  ])('of %s begins behind %s', async (table, before) => {
    expect(await lists[table](before)).toEqual({ rows: [], next: null });
  });

  // Each of these was an error of PostgreSQL: invalid input syntax, or out of range.
  it.each<[keyof typeof lists, string]>([
    ['runs', 'evil-1'],
    ['runs', ''],
    ['runs', '2026-13-45T99:00:00Z'],
    ['runs', '+275760-09-13T00:00:00.001Z'],
    ['runs', '2026-11-26'],
    ['runs', 'infinity'],
    ['runs', 'now'],
    ['audit', '2147483648'],
    ['audit', '99999999999999999999'],
    ['audit', '1e9'],
    ['audit', '1.5'],
    ['audit', '-1'],
    ['audit', '0x10'],
    ['audit', 'Infinity'],
    ['audit', ' 1'],
    ['events', '\0'],
    ['events', '\ud800'],
    ['events', "' or 1=1"],
  ])('of %s is refused behind %j', async (table, before) => {
    await expect(lists[table](before)).rejects.toMatchObject({ code: 'INVALID_CURSOR' });
  });

  it.each([0, -1, 1.5, 201, Number.NaN, Number.POSITIVE_INFINITY])('has no size of %s', async (limit) => {
    const page = listPage(createMemoryRecords(), 'runs', { by: 'createdAt', cursor: 'instant', page: { limit } });
    await expect(page).rejects.toMatchObject({ code: 'INVALID_LIMIT' });
  });
});
