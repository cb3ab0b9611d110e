import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecret } from '@pipit/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  type AuditRow,
  appendAudit,
  createMemoryRecords,
  hashAudit,
  type MemoryRecords,
  signedTextOfHead,
} from '../../pipeline/src/index.js';
import { type AuditKeys, loadAuditKeys } from '../../runtime/src/audit/audit-key.js';
import { createHeadSigner, type HeadSigner } from '../../runtime/src/audit/head-signer.js';
import { createRememberedHead } from '../../runtime/src/audit/remembered-head.js';
import { renderCopy } from '../src/audit-copy.js';
import { runCli } from '../src/run-cli.js';
import { createFakeWorld } from './support/fake-world.js';

const clock = { now: () => new Date('2026-11-26T12:00:00Z') };

interface Trail {
  readonly records: MemoryRecords;
  readonly folder: string;
  readonly signer: HeadSigner;
  readonly keys: AuditKeys;
  append(lines: number): Promise<void>;
}

const loadKeys = (folder: string, config: Parameters<typeof loadAuditKeys>[0]['config'] = { every: 1 }): Promise<AuditKeys> =>
  loadAuditKeys({ config, keysFolder: folder, hide: () => undefined });

const openTrail = async (from?: Trail, config?: Parameters<typeof loadAuditKeys>[0]['config']): Promise<Trail> => {
  const folder = from?.folder ?? (await mkdtemp(join(tmpdir(), 'pipit-heads-')));
  if (from === undefined) onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const records = from?.records ?? createMemoryRecords();
  const keys = await loadKeys(folder, config);
  const signer = createHeadSigner({ records, keys, remembered: createRememberedHead(folder), clock });
  await signer.announce();
  return {
    records,
    folder,
    keys,
    signer,
    append: async (lines) => {
      const entry = { at: clock.now(), actor: { name: 'ann', origin: 'cli' }, action: 'run.promote', subject: 'web-1' };
      for (let count = 0; count < lines; count += 1) await records.transaction((transaction) => appendAudit(transaction, entry));
    },
  };
};

const signedTrail = async (): Promise<Trail> => {
  const trail = await openTrail();
  for (const lines of [2, 3, 1]) {
    await trail.append(lines);
    expect(await trail.signer.sign()).toBeDefined();
  }
  return trail;
};

const copyOf = async ({ records }: Trail) => ({ rows: await records.list('audit'), heads: await records.list('auditHeads') });
type Copy = Awaited<ReturnType<typeof copyOf>>;

/** Verifies a copy as somebody does who has nothing but the copy and a public key. */
const verify = async (trail: Trail, copy: Copy, more: readonly string[] = [], publicKey = trail.keys.current.publicKey) => {
  const [file, keyFile] = [join(trail.folder, 'copy.jsonl'), join(trail.folder, 'given.pem')];
  await writeFile(file, renderCopy(copy).join('\n'));
  await writeFile(keyFile, publicKey);
  const fake = createFakeWorld({});
  const code = await runCli(['audit', '--json', '--verify', file, '--public-key', keyFile, ...more], fake.world);
  return {
    code,
    ...(JSON.parse(fake.out()) as { ok: boolean; brokenAt: number | null; heads: { signedUpTo: number; problems: string[] } }),
  };
};

/** As somebody who owns the database: the whole chain is made again after a change. */
const rehash = (rows: readonly AuditRow[]): readonly AuditRow[] => {
  let previousHash = '0'.repeat(64);
  return rows.map((given, index) => {
    const { hash: _hash, ...row } = { ...given, sequence: index + 1, previousHash };
    previousHash = hashAudit(row);
    return { ...row, hash: previousHash };
  });
};

describe("the audit trail's key", () => {
  it('is made once, is not for others to read, and lies with its public half', async () => {
    const trail = await openTrail();
    const path = join(trail.folder, 'audit-key.pem');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readFile(join(trail.folder, 'audit-key.pub.pem'), 'utf8')).toBe(trail.keys.current.publicKey);
    expect((await openTrail(trail)).keys.current.id).toBe(trail.keys.current.id);
    expect(await trail.records.list('audit', { where: { action: 'audit.key' } })).toHaveLength(1);
  });

  it.each([
    ['nonsense', 'nonsense'],
    ['an RSA key', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
  ])('is refused when it is %s, without quoting it', async (_what, pem) => {
    const error: unknown = await openTrail(undefined, { every: 1, key: createSecret(pem) }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'AUDIT_KEY_INVALID' });
    expect(String(error)).not.toContain(pem.slice(0, 60));
  });
});

describe('a copy of the trail', () => {
  it('verifies by itself with the public key', async () => {
    const trail = await signedTrail();
    await trail.append(1);
    expect(await verify(trail, await copyOf(trail))).toMatchObject({ code: 0, ok: true, heads: { count: 3, signedUpTo: 7, problems: [] } });
    expect(await trail.signer.findFault()).toBeUndefined();
  });

  it.each<[string, (copy: Copy) => Copy, RegExp]>([
    [
      'one line is changed',
      ({ rows, heads }) => ({ heads, rows: rows.map((row) => (row.sequence === 3 ? { ...row, actor: 'eve' } : row)) }),
      /^$/,
    ],
    [
      'a line is changed and all hashes are made again',
      ({ rows, heads }) => ({ heads, rows: rehash(rows.map((row) => (row.sequence === 3 ? { ...row, actor: 'eve' } : row))) }),
      /line 3 is not the one/,
    ],
    [
      'a line is taken out and all hashes are made again',
      ({ rows, heads }) => ({ heads, rows: rehash(rows.filter((row) => row.sequence !== 4)) }),
      /line 7 is gone/,
    ],
    ['its end is cut', ({ rows, heads }) => ({ heads, rows: rows.slice(0, 5) }), /line 6 is gone/],
    ['a head is taken out', ({ rows, heads }) => ({ rows, heads: heads.filter((_head, index) => index !== 1) }), /a head before/],
    ['the first head is taken out', ({ rows, heads }) => ({ rows, heads: heads.slice(1) }), /a head before/],
    ['all heads are taken out', ({ rows }) => ({ rows, heads: [] }), /no head is signed/],
    [
      'a head is moved to other lines',
      ({ rows, heads }) => ({ rows, heads: heads.map((head, index) => (index === 2 ? { ...head, sequence: 5 } : head)) }),
      /signature/,
    ],
    [
      'the time of a head is changed',
      ({ rows, heads }) => ({ rows, heads: heads.map((head) => ({ ...head, at: '2020-01-01T00:00:00.000Z' })) }),
      /signature/,
    ],
    [
      'a signature is another one',
      ({ rows, heads }) => ({ rows, heads: heads.map((head) => ({ ...head, signature: 'AAAA' })) }),
      /signature/,
    ],
  ])('does not when %s', async (_what, tamper, problem) => {
    const trail = await signedTrail();
    const verdict = await verify(trail, tamper(await copyOf(trail)));
    expect(verdict).toMatchObject({ code: 1, ok: false });
    expect(verdict.heads.problems.join('\n')).toMatch(problem);
  });

  it('does not when all of it, keys and heads included, is of somebody else', async () => {
    const [trail, others] = [await signedTrail(), await signedTrail()];
    expect(await verify(trail, await copyOf(others))).toMatchObject({ code: 1, ok: false });
  });

  it('does not when its end is replaced by lines and a head of another key', async () => {
    const [trail, others] = [await signedTrail(), await openTrail()];
    const { rows, heads } = await copyOf(trail);
    const { keys } = others;
    const key = { publicKey: keys.current.publicKey, previousKey: trail.keys.current.id, signature: 'AAAA' };
    const [last] = rows.slice(-1);
    if (last === undefined) throw new Error('no line');
    const forged = rehash([...rows, { ...last, action: 'audit.key', subject: keys.current.id, detail: key }, last]);
    const unsigned = {
      sequence: forged.length,
      hash: forged.at(-1)?.hash ?? '',
      at: last.at,
      keyId: keys.current.id,
      previousHead: heads[2]?.signature ?? '',
    };
    const head = { ...unsigned, signature: keys.current.sign(signedTextOfHead(unsigned)) };
    expect(await verify(trail, { rows: forged, heads: [...heads, head] })).toMatchObject({ code: 1, heads: { signedUpTo: 7 } });
  });

  it('shows a cut end, heads and all, by a head that was kept elsewhere', async () => {
    const trail = await signedTrail();
    const { rows, heads } = await copyOf(trail);
    const kept = heads[2];
    const cut = { rows: rows.slice(0, 3), heads: heads.slice(0, 1) };
    expect(await verify(trail, cut)).toMatchObject({ code: 0 });
    expect(await verify(trail, cut, ['--head', `${kept?.sequence}:${kept?.hash}`])).toMatchObject({ code: 1 });
    expect(await verify(trail, { rows, heads }, ['--head', `${kept?.sequence}:${kept?.hash}`])).toMatchObject({ code: 0 });
    expect(await verify(trail, { rows, heads }, ['--head', `2:${kept?.hash}`])).toMatchObject({ code: 1 });
  });

  it('verifies with the old key and with the new one after a rotation, and not with a third', async () => {
    const trail = await signedTrail();
    const before = trail.keys.current;
    const { rename } = await import('node:fs/promises');
    await rename(join(trail.folder, 'audit-key.pem'), join(trail.folder, 'audit-key.previous.pem'));
    const rotated = await openTrail(trail);
    expect(rotated.keys.current.id).not.toBe(before.id);
    await rotated.append(2);
    await rotated.signer.sign();
    const copy = await copyOf(rotated);
    expect(await verify(rotated, copy, [], before.publicKey)).toMatchObject({ code: 0, heads: { signedUpTo: 10, problems: [] } });
    expect(await verify(rotated, copy)).toMatchObject({ code: 0, heads: { signedUpTo: 10 } });
    expect(await verify(rotated, copy, [], (await openTrail()).keys.current.publicKey)).toMatchObject({ code: 1 });
  });
});

describe('the server', () => {
  /** As the superuser of the database: the memory's rows are put in place by hand. */
  const rewrite = (trail: Trail, change: (rows: readonly AuditRow[]) => readonly AuditRow[]): Promise<void> =>
    trail.records.transaction(async (transaction) => {
      const rows = await transaction.list('audit');
      for (const { sequence } of rows) await transaction.remove('audit', { sequence });
      await transaction.insertAll('audit', change(rows));
    });

  it.each<[string, (rows: readonly AuditRow[]) => readonly AuditRow[]]>([
    ['rewritten', (rows) => rehash(rows.map((row) => (row.sequence === 2 ? { ...row, actor: 'eve' } : row)))],
    ['rewritten behind its last head', (rows) => rows.map((row) => (row.sequence === 8 ? { ...row, actor: 'eve' } : row))],
    ['cut', (rows) => rows.slice(0, 5)],
  ])('never signs a trail that was %s', async (_what, change) => {
    const trail = await signedTrail();
    await trail.append(1);
    await rewrite(trail, change);
    await trail.append(1);
    expect(await trail.signer.findFault()).toMatch(/line \d/i);
    expect(await trail.signer.sign()).toBeUndefined();
  });

  it('remembers its last head when all heads are taken out too', async () => {
    const trail = await signedTrail();
    await rewrite(trail, (rows) => rehash(rows.map((row) => ({ ...row, actor: 'eve' }))));
    await trail.records.transaction(async (transaction) => {
      for (const { sequence } of await transaction.list('auditHeads')) await transaction.remove('auditHeads', { sequence });
    });
    const restarted = await openTrail(trail);
    await restarted.append(1);
    expect(await restarted.signer.sign()).toBeUndefined();
    expect(await restarted.signer.findFault()).toMatch(/audit-head\.json/);
  });
});
