import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { query, readPostmaster } from './support/database.js';
import { createExternalPostgres, type ExternalPostgres } from './support/external-postgres.js';
import { createPipitServe, freePort, type PipitServe, type Serving } from './support/pipit-serve.js';
import { waitUntil } from './support/wait-until.js';

const TEST_TIMEOUT_MS = 120_000;

let pipit: PipitServe;

beforeAll(async () => {
  pipit = await createPipitServe();
}, TEST_TIMEOUT_MS);
afterEach(() => pipit.endAll());
afterAll(() => pipit?.remove(), TEST_TIMEOUT_MS);

describe('signals', () => {
  it(
    'exits with 0 on SIGTERM when the database was adopted from a killed server',
    async () => {
      const killed = await pipit.start();
      killed.send('SIGKILL');
      await killed.ended;
      const serving = await pipit.start();
      expect(serving.log()).toContain('Adopted the database');
      serving.send('SIGTERM');
      expect(await serving.ended).toBe(0);
      // PostgreSQL removes it at the end of a clean shutdown.
      await expect(readPostmaster(pipit.dataFolder)).rejects.toMatchObject({ code: 'ENOENT' });
    },
    TEST_TIMEOUT_MS,
  );

  it.each([
    ['an endless loop', 'for (;;);'],
    ['a call that never returns', 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);'],
  ])(
    'ends a server whose event loop is blocked by %s on the second signal, and loses nothing',
    async (_what, block) => {
      const preload = join(pipit.folder, 'block.mjs');
      await writeFile(preload, `process.on('SIGUSR2', () => { process.stderr.write('blocked now\\n'); ${block} });`);
      const serving = await pipit.start({ preload: [preload] });
      const after = block.length.toString(16).padStart(40, 'a');
      expect(await pipit.deliver(after)).toMatchObject({ status: 202 });
      const { pid } = await readPostmaster(pipit.dataFolder);
      serving.send('SIGUSR2');
      await waitUntil('it is blocked', () => serving.log().includes('blocked now') || undefined);
      serving.send('SIGTERM');
      serving.send('SIGINT');
      expect(await serving.ended).toBe('SIGKILL');
      expect(serving.log()).toContain('The event loop is blocked');
      const next = await pipit.start();
      expect((await readPostmaster(pipit.dataFolder)).pid).toBe(pid);
      expect(await query(pipit.dataFolder, `select 1 from events where body->'event'->>'sha' = $1`, [after])).toHaveLength(1);
      expect(next.log()).toContain('Adopted the database');
      next.send('SIGTERM');
      expect(await next.ended).toBe(0);
    },
    TEST_TIMEOUT_MS,
  );
});

/** Nothing can start from a cluster without its version file. */
const versionFile = (): string => join(pipit.dataFolder, 'postgres/data/PG_VERSION');
const breakDatabase = async (): Promise<void> => {
  await rename(versionFile(), `${versionFile()}.away`);
  process.kill((await readPostmaster(pipit.dataFolder)).pid, 'SIGKILL');
};
const mendDatabase = (): Promise<void> => rename(`${versionFile()}.away`, versionFile());

const waitUntilReady = () => waitUntil('it is ready', async () => ((await pipit.readyz()).status === 200 ? true : undefined));
const waitUntilAway = (reason: RegExp) =>
  waitUntil('the database is away, and why', async () => {
    const { status, body } = await pipit.readyz();
    return status === 503 && reason.test(JSON.stringify(body.databaseAway)) ? body.databaseAway : undefined;
  });
const end = async (serving: Serving): Promise<void> => {
  serving.send('SIGTERM');
  expect(await serving.ended).toBe(0);
};
const commitOf = (digit: string): string => digit.repeat(40);
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/);

describe('the embedded database', () => {
  it(
    'is tried until it starts; /readyz, the log and the hooks say so meanwhile',
    async () => {
      const serving = await pipit.start();
      expect(await pipit.deliver(commitOf('1'))).toMatchObject({ status: 202 });
      await breakDatabase();
      expect(await waitUntilAway(/PG_VERSION/)).toEqual({
        since: TIME,
        reason: expect.stringContaining('PG_VERSION'),
        nextTryAt: TIME,
        givesUpAt: TIME,
      });
      expect(serving.log()).toMatch(/"reason":"The embedded PostgreSQL did not start.*PG_VERSION/);
      expect(await pipit.deliver(commitOf('2'))).toEqual({ status: 503, retryAfter: '5' });
      await mendDatabase();
      await waitUntilReady();
      expect(await pipit.deliver(commitOf('2'))).toMatchObject({ status: 202 });
      await end(serving);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'may die just after the server listens: the start goes on when it is back',
    async () => {
      const preload = join(pipit.folder, 'kill-database.mjs');
      await writeFile(
        preload,
        `import { Server } from 'node:net';
         import { readFileSync } from 'node:fs';
         const { listen } = Server.prototype;
         Server.prototype.listen = function (...given) {
           Server.prototype.listen = listen;
           this.once('listening', () => process.kill(parseInt(readFileSync('${pipit.dataFolder}/postgres/data/postmaster.pid')), 'SIGKILL'));
           return listen.apply(this, given);
         };`,
      );
      const serving = await pipit.start({ preload: [preload] });
      expect(serving.log()).toContain('The start waits for the database');
      expect(await pipit.deliver(commitOf('3'))).toMatchObject({ status: 202 });
      await end(serving);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'is given up after the time that the config sets: exit code 5, and nothing that was accepted is lost',
    async () => {
      await pipit.configure('database: { giveUpAfter: 12s }');
      const serving = await pipit.start();
      expect(await pipit.deliver(commitOf('4'))).toMatchObject({ status: 202 });
      await breakDatabase();
      expect(await serving.ended).toBe(5);
      expect(serving.log()).toMatch(/The database was away for 12 s: .*DATABASE_AWAY_TOO_LONG/s);
      // Nor can it be started: the same after the same time.
      expect(await pipit.launch().ended).toBe(5);
      await mendDatabase();
      const next = await pipit.start();
      expect(await query(pipit.dataFolder, `select 1 from events where body->'event'->>'sha' = $1`, [commitOf('4')])).toHaveLength(1);
      await end(next);
    },
    TEST_TIMEOUT_MS,
  );
});

describe('an external database', () => {
  let external: ExternalPostgres;

  beforeAll(async () => {
    await pipit.configure('');
    const serving = await pipit.start();
    const { pid } = await readPostmaster(pipit.dataFolder);
    external = await createExternalPostgres({ like: pid, port: await freePort() });
    await end(serving);
    await pipit.configure(`database: { url: { $env: DATABASE_URL }, giveUpAfter: 60s }`);
  }, TEST_TIMEOUT_MS);
  afterAll(() => external?.remove());

  it(
    'may be down at the start, hang, and go away: pipit waits, answers 503, and ends with 5 after the limit',
    async () => {
      const env = { DATABASE_URL: external.url };
      const serving = pipit.launch({ env });
      await waitUntil('it waits', () => serving.log().includes('The start waits for the database') || undefined);
      // The port answers before there is a database: nobody is left without a reason.
      await waitUntilAway(/ECONNREFUSED|ENOENT|connect/);
      expect(await pipit.deliver(commitOf('4'))).toEqual({ status: 503, retryAfter: '5' });
      await external.start();
      await waitUntil('it is ready', async () => {
        if (!serving.isRunning()) throw new Error(serving.log());
        return (await pipit.readyz().catch(() => undefined))?.status === 200 || undefined;
      });
      external.freeze();
      const asked = performance.now();
      expect(await pipit.deliver(commitOf('5'))).toEqual({ status: 503, retryAfter: '5' });
      // GitHub closes a delivery after 10 s.
      expect(performance.now() - asked).toBeLessThan(15_000);
      await waitUntilAway(/timeout/i);
      external.thaw();
      await waitUntilReady();
      expect(await pipit.deliver(commitOf('6'))).toMatchObject({ status: 202 });
      await end(serving);
      await pipit.configure(`database: { url: { $env: DATABASE_URL }, giveUpAfter: 12s }`);
      const next = await pipit.start({ env });
      await external.stop();
      expect(await next.ended).toBe(5);
    },
    TEST_TIMEOUT_MS,
  );
});
