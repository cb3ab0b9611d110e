import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type AuditRow, findBrokenLine } from '../src/audit-chain.js';
import { runCli } from '../src/run-cli.js';
import { createFakeApi } from './support/fake-api.js';
import { createFakeWorld } from './support/fake-world.js';

/** Written by the pipeline's own code; a change of its hashing breaks this test, as it should. */
const trail: readonly AuditRow[] = JSON.parse(readFileSync(new URL('__fixtures__/audit-trail.json', import.meta.url), 'utf8'));

const verify = async (rows: readonly AuditRow[]) => {
  const newestFirst = [...rows].reverse();
  const fake = createFakeWorld({
    serverApi: createFakeApi({
      // Two a page, so that the pages are put together.
      listAudit: async ({ before } = {}) => {
        const from = before === undefined ? 0 : Number(before);
        return { rows: newestFirst.slice(from, from + 2), next: from + 2 < newestFirst.length ? String(from + 2) : null };
      },
    }),
  });
  return { code: await runCli(['audit', '--verify', '--json'], fake.world), verdict: JSON.parse(fake.out()) };
};

const change = (at: number, more: Partial<AuditRow>): readonly AuditRow[] =>
  trail.map((row, index) => (index === at ? { ...row, ...more } : row));

describe('audit --verify', () => {
  it('passes the trail that the pipeline wrote', async () => {
    expect(trail.length).toBeGreaterThan(4);
    expect(await verify(trail)).toEqual({
      code: 0,
      verdict: { ok: true, lines: trail.length, brokenAt: null, lastHash: trail.at(-1)?.hash },
    });
  });

  it('passes details whose keys came in another order', () => {
    const reverse = (detail: AuditRow['detail']): AuditRow['detail'] =>
      detail !== null && typeof detail === 'object' && !Array.isArray(detail)
        ? Object.fromEntries(Object.entries(detail).reverse())
        : detail;
    const reordered = trail.map((row) => ({ ...row, detail: reverse(row.detail) }));
    expect(JSON.stringify(reordered)).not.toBe(JSON.stringify(trail));
    expect(findBrokenLine(reordered)).toBeUndefined();
  });

  it.each([
    ['who', change(2, { actor: 'mallory' }), 3],
    ['what', change(1, { action: 'run.cancel' }), 2],
    ['why', change(2, { detail: null }), 3],
    ['when', change(0, { at: '2020-01-01T00:00:00.000Z' }), 1],
    ['a line taken out', trail.filter((_row, at) => at !== 2), 4],
    ['the first line taken out', trail.slice(1), 2],
    ['two lines swapped', [...trail.slice(0, 1), ...trail.slice(1, 3).reverse(), ...trail.slice(3)], 3],
  ])('names the first line that does not fit after a change of %s', async (_what, rows, brokenAt) => {
    expect(await verify(rows)).toMatchObject({ code: 1, verdict: { ok: false, brokenAt } });
  });

  it('passes an empty trail', async () => {
    expect((await verify([])).code).toBe(0);
  });
});
