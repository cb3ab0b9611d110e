import type { Json } from '@pipit/core';
import { describe, expect, it } from 'vitest';
import { type AuditRow, appendAudit, createMemoryRecords, findBrokenAudit, hashAudit } from '../src/index.js';
import { ANNA } from './world/world.js';

const chain = async (): Promise<readonly AuditRow[]> => {
  const records = createMemoryRecords();
  for (let count = 0; count < 4; count += 1)
    await records.transaction((transaction) =>
      appendAudit(transaction, {
        at: new Date(count),
        actor: ANNA,
        action: 'run.promote',
        subject: `web-${count}`,
        detail: { ring: 'production', why: null, hosts: [1, { deep: true }] },
      }),
    );
  return records.list('audit');
};

describe('the audit trail', () => {
  it('is whole as it was written, numbered from 1 without gaps', async () => {
    const rows = await chain();
    expect(findBrokenAudit(rows)).toBeUndefined();
    expect(rows.map((row) => row.sequence)).toEqual([1, 2, 3, 4]);
  });

  const changed: { readonly [C in keyof AuditRow]: AuditRow[C] } = {
    sequence: 99,
    at: '2027-01-01T00:00:00.000Z',
    actor: 'eve',
    origin: '203.0.113.9',
    action: 'run.end',
    subject: 'web-9',
    detail: { ring: 'production', why: null, hosts: [1, { deep: false }] },
    previousHash: 'f'.repeat(64),
    hash: 'f'.repeat(64),
  };
  const tamperings = [0, 1, 2, 3].flatMap((index) => Object.entries(changed).map(([column, value]) => [index + 1, column, value] as const));
  it.each(tamperings)('shows that line %i was changed in %s', async (line, column, value) => {
    const rows = (await chain()).map((row, index) => (index === line - 1 ? { ...row, [column]: value } : row));
    expect(findBrokenAudit(rows)).toBeDefined();
  });

  it.each([1, 2, 3])('shows that line %i was taken out', async (line) => {
    const rows = (await chain()).filter((_row, index) => index !== line - 1);
    expect(findBrokenAudit(rows)).toBeDefined();
  });

  it('shows that a changed line was given a fitting hash', async () => {
    const rows = (await chain()).map((row, index) => {
      const forged = { ...row, actor: 'eve' };
      return index === 1 ? { ...forged, hash: hashAudit(forged) } : row;
    });
    expect(findBrokenAudit(rows)?.sequence).toBe(3);
  });

  it('shows that two lines changed places', async () => {
    const [one, two, ...rest] = await chain();
    expect(findBrokenAudit([two, one, ...rest] as AuditRow[])).toBeDefined();
  });

  it('hashes the same whatever order a database gives the keys of a detail back in', async () => {
    const [row] = await chain();
    if (row === undefined) throw new Error('no line');
    const detail: Json = { why: null, hosts: [1, { deep: true }], ring: 'production' };
    expect(hashAudit({ ...row, detail })).toBe(row.hash);
  });

  it('does not begin a second chain when lines are added together', async () => {
    const records = createMemoryRecords();
    const entry = { at: new Date(0), actor: ANNA, action: 'a', subject: 's' };
    await Promise.all([1, 2, 3].map(() => records.transaction((transaction) => appendAudit(transaction, entry, entry))));
    const rows = await records.list('audit');
    expect(rows).toHaveLength(6);
    expect(findBrokenAudit(rows)).toBeUndefined();
  });
});
