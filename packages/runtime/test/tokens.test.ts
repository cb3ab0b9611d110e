import { chmod, link, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMemoryRecords, type Records } from '@pipit/pipeline';
import { describe, expect, it, onTestFinished } from 'vitest';
import { firstTokenFile, readTokenFile } from '../src/tokens/token-file.js';
import { hashToken } from '../src/tokens/token-text.js';
import { createTokens } from '../src/tokens/tokens.js';

const ADMIN = { name: 'local:root', origin: '127.0.0.1' };
const DAY_MS = 86_400_000;

const prepare = async (records: Records = createMemoryRecords()) => {
  const folder = await mkdtemp(join(tmpdir(), 'pipit-tokens-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  let now = Date.parse('2026-03-01T10:00:00Z');
  const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const tokens = createTokens({ records, clock: { now: () => new Date(now) }, logger: silent });
  const file = firstTokenFile(folder);
  const advance = (ms: number): void => {
    now += ms;
  };
  return { records, folder, file, tokens, advance };
};

const auditOf = async (records: Records): Promise<readonly string[]> =>
  (await records.list('audit')).map(({ actor, action, subject }) => `${actor} ${action} ${subject}`);

describe('the first token', () => {
  it('is made once, with every right, and kept where only its user reads it', async () => {
    const { tokens, file, records } = await prepare();
    const token = await tokens.ensureFirst(file);
    expect(await tokens.check(token ?? '')).toEqual({ valid: true, name: 'admin', preset: 'admin' });
    expect(await readFile(file, 'utf8')).toBe(`${token}\n`);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await tokens.ensureFirst(file)).toBeUndefined();
    expect(await auditOf(records)).toEqual(['pipit token.create admin']);
    expect(JSON.stringify(await records.list('tokens'))).not.toContain(token);
  });

  /** A start that is killed at one of its boundaries: nothing behind it happens. */
  const killAt = (records: Records, boundary: 'before the row' | 'in the commit' | 'behind the commit'): Records => ({
    ...records,
    transaction: async (work, options) => {
      if (boundary === 'before the row') throw new Error('killed');
      const value = await records.transaction(async (transaction) => {
        const done = await work(transaction);
        if (boundary === 'in the commit') throw new Error('killed');
        return done;
      }, options);
      if (boundary === 'behind the commit') throw new Error('killed');
      return value;
    },
  });

  it.each(['before the row', 'in the commit', 'behind the commit'] as const)('is not lost by a kill %s', async (boundary) => {
    const records = createMemoryRecords();
    const killed = await prepare(killAt(records, boundary));
    await expect(killed.tokens.ensureFirst(killed.file)).rejects.toThrow('killed');
    const kept = (await readFile(killed.file, 'utf8')).trim();
    const next = await prepare(records);
    // Shown by the next start, unless the database has it: then the file is where to look.
    expect(await next.tokens.ensureFirst(killed.file)).toBe(boundary === 'behind the commit' ? undefined : kept);
    expect(await next.tokens.check(kept)).toMatchObject({ valid: true, preset: 'admin' });
    expect(await records.list('tokens')).toHaveLength(1);
  });

  it('is made again when a kill left half a file, and leaves nothing beside it', async () => {
    const { tokens, file, folder } = await prepare();
    await writeFile(`${file}.0123456789abcdef.new`, 'pipit_half', { mode: 0o600 });
    const token = await tokens.ensureFirst(file);
    expect(await readdir(folder)).toEqual(['token']);
    expect(await readTokenFile(file)).toBe(token);
  });

  it.each<[string, (file: string) => Promise<unknown>]>([
    ['is no token', (file) => writeFile(file, 'hello\n', { mode: 0o600 })],
    ['others may read', (file) => writeFile(file, `pipit_${'a'.repeat(43)}\n`).then(() => chmod(file, 0o644))],
    [
      'is a link',
      (file) => writeFile(`${file}.else`, `pipit_${'a'.repeat(43)}\n`, { mode: 0o600 }).then(() => symlink(`${file}.else`, file)),
    ],
    ['is empty', (file) => writeFile(file, '', { mode: 0o600 })],
  ])('is not taken from a file that %s', async (_what, prepareFile) => {
    const { tokens, file } = await prepare();
    await prepareFile(file);
    const token = await tokens.ensureFirst(file);
    expect(token).toMatch(/^pipit_[a-z0-9]{12}_[A-Za-z0-9_-]{43}$/);
    expect(await readTokenFile(file)).toBe(token);
    expect(await tokens.check(`pipit_${'a'.repeat(43)}`)).toEqual({ valid: false, why: 'unknown' });
  });

  it('is not taken from a file when there ever was one', async () => {
    const { tokens, file } = await prepare();
    await tokens.ensureFirst(file);
    await tokens.revoke('admin', ADMIN);
    await rm(file);
    const planted = `pipit_${'b'.repeat(43)}`;
    await writeFile(file, planted, { mode: 0o600 });
    await link(file, `${file}.kept`);
    expect(await tokens.ensureFirst(file)).toBeUndefined();
    expect(await tokens.check(planted)).toMatchObject({ valid: false });
  });
});

describe('a token', () => {
  it('is found by its id, proves itself, and is known by its hash alone', async () => {
    const { tokens, records } = await prepare();
    const made = await tokens.create({ name: 'ci', preset: 'deliver', expiresInMs: DAY_MS }, ADMIN);
    expect(made).toMatchObject({ name: 'ci', preset: 'deliver', createdBy: 'local:root', expiresAt: '2026-03-02T10:00:00.000Z' });
    expect(await tokens.check(made.token)).toEqual({ valid: true, name: 'ci', preset: 'deliver' });
    const wrong = `${made.token.slice(0, -1)}${made.token.endsWith('A') ? 'B' : 'A'}`;
    for (const token of [wrong, '', made.id, `pipit_${made.id}_`, made.token.toUpperCase(), `${made.token} `])
      expect(await tokens.check(token), token).toEqual({ valid: false, why: 'unknown' });
    const [row] = await records.list('tokens');
    expect(row?.hash).toBe(hashToken(made.token));
    expect(JSON.stringify([row, await records.list('audit'), await tokens.list()])).not.toContain(made.token);
    expect(JSON.stringify(await tokens.list())).not.toContain(row?.hash);
  });

  it('ends when it expires, and when it is revoked', async () => {
    const { tokens, advance, records } = await prepare();
    const short = await tokens.create({ name: 'short', preset: 'read', expiresInMs: DAY_MS }, ADMIN);
    const long = await tokens.create({ name: 'long', preset: 'read', expiresInMs: null }, ADMIN);
    advance(DAY_MS - 1);
    expect(await tokens.check(short.token)).toMatchObject({ valid: true });
    advance(1);
    expect(await tokens.check(short.token)).toEqual({ valid: false, why: 'expired', name: 'short' });
    expect(await tokens.check(long.token)).toMatchObject({ valid: true });
    await tokens.revoke('long', ADMIN);
    await tokens.revoke('long', ADMIN);
    expect(await tokens.check(long.token)).toEqual({ valid: false, why: 'revoked', name: 'long' });
    expect(await auditOf(records)).toEqual([
      'local:root token.create short',
      'local:root token.create long',
      'local:root token.revoke long',
    ]);
  });

  it('notes its use once an hour', async () => {
    const { tokens, advance } = await prepare();
    const { token } = await tokens.create({ name: 'ci', preset: 'read', expiresInMs: null }, ADMIN);
    const use = async (): Promise<string | null | undefined> => {
      await tokens.check(token);
      return (await tokens.list())[0]?.lastUsedAt;
    };
    expect(await use()).toBe('2026-03-01T10:00:00.000Z');
    advance(3_599_999);
    expect(await use()).toBe('2026-03-01T10:00:00.000Z');
    advance(1);
    expect(await use()).toBe('2026-03-01T11:00:00.000Z');
  });

  it('has a name that nobody had before', async () => {
    const { tokens } = await prepare();
    await tokens.create({ name: 'ci', preset: 'read', expiresInMs: null }, ADMIN);
    await tokens.revoke('ci', ADMIN);
    await expect(tokens.create({ name: 'ci', preset: 'admin', expiresInMs: null }, ADMIN)).rejects.toMatchObject({
      code: 'TOKEN_NAME_TAKEN',
    });
    await expect(tokens.revoke('nobody', ADMIN)).rejects.toMatchObject({ code: 'TOKEN_UNKNOWN' });
  });

  it.each([
    { name: 'Ada', preset: 'read', expiresInMs: null },
    { name: '../x', preset: 'read', expiresInMs: null },
    { name: 'x'.repeat(61), preset: 'read', expiresInMs: null },
    { name: 'ci', preset: 'public' as 'read', expiresInMs: null },
    { name: 'ci', preset: 'read', expiresInMs: -1 },
    { name: 'ci', preset: 'read', expiresInMs: Number.NaN },
    { name: 'ci', preset: 'read', expiresInMs: 1e17 },
  ] as const)('is not made as %j', async (given) => {
    const { tokens } = await prepare();
    await expect(tokens.create(given, ADMIN)).rejects.toMatchObject({ code: 'INVALID_TOKEN' });
  });

  it('of an installation from before goes on working', async () => {
    const records = createMemoryRecords();
    const old = `pipit_${'c'.repeat(43)}`;
    const { tokens, file } = await prepare(records);
    // What the migration makes of the setting.
    await records.transaction((transaction) =>
      transaction.insert('tokens', {
        id: 'first',
        name: 'admin',
        hash: hashToken(old),
        preset: 'admin',
        createdAt: '2026-01-01T00:00:00.000Z',
        createdBy: 'pipit',
        expiresAt: null,
        lastUsedAt: null,
        revokedAt: null,
        revokedBy: null,
      }),
    );
    expect(await tokens.ensureFirst(file)).toBeUndefined();
    expect(await tokens.check(old)).toEqual({ valid: true, name: 'admin', preset: 'admin' });
  });
});
