import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildProgram } from './support/build-program.js';
import { readPostmaster } from './support/database.js';
import { APP, createInstallation, type Installation } from './support/installation.js';
import { expectAuditWhole, expectNothingLeftBehind } from './support/left-behind.js';
import { sampleApp } from './support/sample-app.js';
import { waitUntil } from './support/wait-until.js';

const TEST_TIMEOUT_MS = 180_000;

let installation: Installation;

beforeAll(async () => {
  installation = await createInstallation({ rings: [{ name: 'canary' }, { name: 'production' }] });
  await installation.start();
}, TEST_TIMEOUT_MS);
afterAll(() => installation?.remove());

const push = (content: string, files: Readonly<Record<string, string>> = {}): Promise<string> =>
  installation.developer.push({ ...sampleApp(installation.counter), ...files, content: `${content}\n` });
const waitForPromotion = (sha: string) =>
  installation.waitForRun(sha, 'it waits for promotion', (run) => run.waiting_for === 'promotion' || run.state === 'ended', 120_000);
const waitForEnd = (sha: string) => installation.waitForRun(sha, 'it has ended', (run) => run.state === 'ended', 120_000);

/** Kills PostgreSQL's postmaster once a step is under way, and waits for the next one. */
const killDatabaseDuring = async (sha: string, stage: string, step: string): Promise<void> => {
  await waitUntil(
    `${stage} ${step} is under way`,
    async () => {
      const found = await installation
        .query(
          `select 1 from steps join operations on operations.id = operation_id join runs on runs.id = run_id
           where sha = $1 and operations.stage = $2 and name = $3 and steps.state = 'running'`,
          [sha, stage, step],
        )
        .catch(() => []);
      return found.length > 0 ? true : undefined;
    },
    90_000,
  );
  const { pid } = await readPostmaster(installation.dataFolder);
  process.kill(pid, 'SIGKILL');
  await waitUntil('another postmaster serves', async () => {
    const now = await readPostmaster(installation.dataFolder).catch(() => undefined);
    if (now === undefined || now.pid === pid) return undefined;
    return installation.query('select 1').then(
      () => true,
      () => undefined,
    );
  });
};

it(
  'ends a run well when its database is killed during the build and during the install',
  async () => {
    const { counter } = installation;
    const sha = await push('database killed');
    await killDatabaseDuring(sha, 'build', 'await');
    await killDatabaseDuring(sha, 'rollout:canary', 'install');
    expect(await waitForPromotion(sha)).toMatchObject({ waiting_for: 'promotion' });
    await installation.api().promote({ app: APP });
    expect(await waitForEnd(sha)).toMatchObject({ outcome: 'succeeded' });
    expect(counter.count(`build ${sha}`)).toEqual({ [`build ${sha}`]: 1 });
    expect(Object.values(counter.count('install '))).toEqual([1, 1, 1]);
    expect(await installation.query('select ring, sequence from advertisements order by ring')).toEqual([
      { ring: 'canary', sequence: 1 },
      { ring: 'production', sequence: 1 },
    ]);
    await expectNothingLeftBehind(installation);
    await expectAuditWhole(installation);
    expect(installation.server().isRunning()).toBe(true);
  },
  TEST_TIMEOUT_MS,
);

it(
  'refuses a second server on the same data folder and goes on itself',
  async () => {
    await expect(installation.startBeside()).rejects.toThrow(/DATA_FOLDER_IN_USE/);
    expect((await fetch(`${installation.url}/readyz`)).status).toBe(200);
  },
  TEST_TIMEOUT_MS,
);

it(
  'ends the build of a cancelled run and leaves none of its files',
  async () => {
    const sha = await push('cancelled', { 'script/cibuild': '#!/bin/sh\nexec sleep 987654\n' });
    const run = await installation.waitForRun(sha, 'it builds', () => true);
    await waitUntil('the build runs', async () => ((await findSleepers()) > 0 ? true : undefined));
    await installation.api().cancel({ runId: String(run.id), reason: 'it takes too long' });
    expect(await waitForEnd(sha)).toMatchObject({ outcome: 'cancelled' });
    await waitUntil('the build has ended', async () => ((await findSleepers()) === 0 ? true : undefined));
    await expectNothingLeftBehind(installation);
  },
  TEST_TIMEOUT_MS,
);

/** Processes of the build above, which nobody else's are like. */
const findSleepers = async (): Promise<number> => {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter((line) => line.startsWith('sleep\u0000987654')).length;
};

it(
  'promotes a run that has waited since before an upgrade to a pipit with more stages',
  async () => {
    const sha = await push('waits for an upgrade');
    const waiting = await waitForPromotion(sha);
    expect(waiting).toMatchObject({ waiting_for: 'promotion' });
    await installation.server().stop();
    const later = await buildProgram('server', { '/plan-stages.js': 'plan-more-stages' });
    try {
      installation.upgradeTo(later.path);
      await installation.start();
      await sleep(1_500); // a sweep or two: the run is looked at and goes on waiting
      expect(await waitForPromotion(sha)).toMatchObject({ waiting_for: 'promotion', state: 'waiting' });
      await installation.api().promote({ app: APP, ifCanary: String(waiting.version) });
      const run = await waitForEnd(sha);
      expect(run).toMatchObject({ outcome: 'succeeded' });
      // What lies behind the point where it was is taken, what lies before it is not gone back to.
      expect(run.completed_stages).toContain('judge-again:canary');
      expect(run.completed_stages).not.toContain('publish-again');
      // And a run that begins now takes both.
      const next = await push('begun after the upgrade');
      expect(await waitForPromotion(next)).toMatchObject({ waiting_for: 'promotion' });
      await installation.api().promote({ app: APP });
      expect((await waitForEnd(next)).completed_stages).toEqual(expect.arrayContaining(['publish-again', 'judge-again:canary']));
    } finally {
      await later.remove();
    }
  },
  TEST_TIMEOUT_MS,
);
