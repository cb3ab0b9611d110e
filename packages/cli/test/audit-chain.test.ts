import { readFileSync } from 'node:fs';
import { storableJson } from '@pipit/core';
import { describe, expect, it } from 'vitest';
import { type AuditRow, followChain, hashOf } from '../src/audit-chain.js';
import { runCli } from '../src/run-cli.js';
import { createFakeApi } from './support/fake-api.js';
import { createFakeWorld } from './support/fake-world.js';

/** Written by the pipeline's own code; a change of its hashing breaks this test, as it should. */
const trail: readonly AuditRow[] = JSON.parse(readFileSync(new URL('__fixtures__/audit-trail.json', import.meta.url), 'utf8'));

const verify = async (rows: readonly AuditRow[]) => {
  const newestFirst = [...rows].reverse();
  const fake = createFakeWorld({
    serverApi: createFakeApi({
      listAuditHeads: async () => ({ rows: [], next: null }),
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
      verdict: {
        ok: true,
        lines: trail.length,
        brokenAt: null,
        looksLike: null,
        faulty: [],
        heads: { count: 0, signedUpTo: null, problems: [] },
        lastHash: trail.at(-1)?.hash,
      },
    });
  });

  it('passes details whose keys came in another order', () => {
    const reverse = (detail: AuditRow['detail']): AuditRow['detail'] =>
      detail !== null && typeof detail === 'object' && !Array.isArray(detail)
        ? Object.fromEntries(Object.entries(detail).reverse())
        : detail;
    const reordered = trail.map((row) => ({ ...row, detail: reverse(row.detail) }));
    expect(JSON.stringify(reordered)).not.toBe(JSON.stringify(trail));
    expect(followChain(reordered)).toEqual({ broken: undefined, faulty: [] });
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

/** As pipit wrote a line until it refused such text: hashed as given, stored with U+FFFD. */
const asOldPipit = (given: Pick<AuditRow, 'subject' | 'detail'>): readonly AuditRow[] => {
  const [first] = trail;
  if (first === undefined) throw new Error('no line');
  const { hash: _hash, ...row } = { ...first, ...given };
  const hash = hashOf({ ...row, hash: '' });
  const stored = JSON.parse(storableJson({ ...row, hash })) as AuditRow; // the same with other texts
  const { hash: _next, ...second } = { ...first, sequence: 2, previousHash: hash };
  return [stored, { ...second, hash: hashOf({ ...second, hash: '' }) }];
};

describe('audit --verify of a trail that the fault of earlier versions broke', () => {
  it.each<[string, Pick<AuditRow, 'subject' | 'detail'>]>([
    ['GET /hooks/%00', { subject: '\0', detail: { code: 'HOOK_UNKNOWN', message: 'There is no hook \0' } }],
    ['half a character in a reason', { subject: 'web-1', detail: { why: 'half \ud83d' } }],
    ['a message that was cut within a character, after a U+FFFD', { subject: 'web-1', detail: { why: 'a\ufffdb\0c\ufffd' } }],
    ['a name within the detail', { subject: 'web-1', detail: { 'a\0': 1, 'a\u0001': 2 } }],
  ])('proves that nobody changed it: %s', async (_what, given) => {
    const rows = asOldPipit(given);
    expect(JSON.stringify(rows)).toContain('\uFFFD');
    expect(await verify(rows)).toMatchObject({ code: 0, verdict: { ok: true, faulty: [1], looksLike: null } });
  });

  it('takes a line with U+FFFD that somebody changed for changed, and says that it cannot be sure', async () => {
    const rows = asOldPipit({ subject: '\0', detail: null }).map((row) => ({ ...row, actor: 'mallory' }));
    expect(await verify(rows)).toMatchObject({ code: 1, verdict: { ok: false, brokenAt: 1, looksLike: 'unsure' } });
  });

  it('says of any other break that it looks like tampering', async () => {
    expect(await verify(change(1, { actor: 'mallory' }))).toMatchObject({ code: 1, verdict: { brokenAt: 2, looksLike: 'tampering' } });
  });

  it('gives up soon on a line with many of them', async () => {
    const rows = asOldPipit({ subject: '\0\ud800'.repeat(400), detail: null });
    expect(await verify(rows)).toMatchObject({ code: 1, verdict: { looksLike: 'unsure' } });
  });
});
