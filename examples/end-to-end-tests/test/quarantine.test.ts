import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { APP, createInstallation, type Installation } from './support/installation.js';
import { expectAuditWhole, expectNothingLeftBehind } from './support/left-behind.js';
import { sampleApp } from './support/sample-app.js';

const TEST_TIMEOUT_MS = 240_000;

let installation: Installation;

beforeAll(async () => {
  installation = await createInstallation({
    rings: [{ name: 'canary' }, { name: 'production', promotion: 'automatic' }],
    hosts: { web1: 'canary', web2: 'production' },
  });
  await installation.start();
}, TEST_TIMEOUT_MS);
afterAll(() => installation?.remove());

const push = (content: string): Promise<string> =>
  installation.developer.push({ ...sampleApp(installation.counter), content: `${content}\n` });
const waitForSuccess = async (sha: string): Promise<Readonly<Record<string, unknown>>> => {
  const run = await installation.waitForRun(sha, 'it has ended', (each) => each.state === 'ended', 120_000);
  expect(run).toMatchObject({ outcome: 'succeeded' });
  return run;
};
const readHosts = async () =>
  (await installation.api().listHosts({ app: APP })).map(({ hostId, report, advertised }) => ({
    hostId,
    installed: report?.installed?.version,
    sequence: report?.installed?.sequence,
    advertised: advertised?.sequence,
  }));

it(
  'does nothing after an older copy of its database was restored until a person reconciles, and then goes on beyond what was lost',
  async () => {
    const database = join(installation.dataFolder, 'postgres');
    const copy = join(installation.folder, 'copy');
    await waitForSuccess(await push('first'));
    await installation.server().stop();
    await execa('cp', ['--archive', database, copy]);
    await installation.start();
    await waitForSuccess(await push('lost, one'));
    await waitForSuccess(await push('lost, two'));
    await installation.server().stop();
    await rm(database, { recursive: true });
    await execa('cp', ['--archive', copy, database]);

    await installation.start();
    const findings = await installation.api().doctor();
    expect(findings).toContainEqual(expect.objectContaining({ name: 'quarantine', ok: false, hint: expect.stringContaining('reconcile') }));
    const before = await readHosts();
    expect(before.map(({ sequence, advertised }) => [sequence, advertised])).toEqual([
      [3, 3],
      [3, 3],
    ]);
    // What is told meanwhile is kept, and waits.
    const sha = await push('while in quarantine');
    const [event] = await installation.query(`select state from events where body->'event'->>'sha' = $1`, [sha]);
    expect(event).toEqual({ state: 'received' });
    // Two sweeps, seen from outside: nothing is handled by them.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(await installation.query(`select id from runs where sha = $1`, [sha])).toEqual([]);
    expect(await installation.query(`select id from operations where state in ('pending', 'running')`)).toEqual([]);
    expect(await readHosts()).toEqual(before);

    const { rings } = await installation.api().reconcile({ reason: 'the backup of this morning was restored' });
    expect(rings).toEqual([
      { ring: `${APP}/app/canary`, sequence: 3 },
      { ring: `${APP}/app/production`, sequence: 3 },
    ]);
    const run = await waitForSuccess(sha);
    expect(await readHosts()).toEqual(['web1', 'web2'].map((hostId) => ({ hostId, installed: run.version, sequence: 4, advertised: 4 })));
    expect(installation.counter.count(`build ${sha}`)).toEqual({ [`build ${sha}`]: 1 });
    await expectNothingLeftBehind(installation);
    await expectAuditWhole(installation);
    const actions = (await installation.query('select action from audit order by sequence')).map((row) => row.action);
    expect(actions).toEqual(expect.arrayContaining(['quarantine.begin', 'quarantine.lift']));
  },
  TEST_TIMEOUT_MS,
);
