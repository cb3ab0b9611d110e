import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { APP, createInstallation, type Installation } from './support/installation.js';
import { killOrders, recordPoints, type Shape, walk } from './support/kill-walk.js';
import { expectAuditWhole, expectNothingLeftBehind } from './support/left-behind.js';
import { sampleApp } from './support/sample-app.js';

/** `PIPIT_KILL_WALK=sample` walks every ninth point only: quick, for whoever works on it. CI walks them all. */
const everyNth = process.env.PIPIT_KILL_WALK === 'sample' ? 9 : 1;
const WALK_TIMEOUT_MS = 40 * 60_000;
const HOSTS = ['web1', 'web2', 'web3'];

let installation: Installation;
let version: string;

beforeAll(async () => {
  installation = await createInstallation({
    rings: [
      { name: 'canary', bake: '500ms' },
      { name: 'production', promotion: 'automatic' },
    ],
  });
});
afterAll(() => installation?.remove());

const readAdvertised = async (ring: string): Promise<string> =>
  (await readFile(join(installation.localFolder, 'advertised', APP, 'app', ring, 'version'), 'utf8')).trim();

/** @param installed how often the post-install script of this commit runs on each host */
const expectOneEffectEach = async (
  sha: string,
  released: string,
  content: string,
  installed: Readonly<Record<string, number>>,
): Promise<void> => {
  const { counter, query } = installation;
  expect(counter.count(`build ${sha}`)).toEqual({ [`build ${sha}`]: 1 });
  const installs = Object.fromEntries(Object.entries(installed).map(([host, times]) => [`install ${host} ${content}`, times]));
  const counted = Object.entries(counter.count('install ')).filter(([line]) => line.endsWith(` ${content}`));
  expect(Object.fromEntries(counted)).toEqual(installs);
  const published = await installation.published();
  const ofCommit = Object.keys(published).filter((each) => each.endsWith(`.${sha.slice(0, 7)}`));
  expect(ofCommit).toEqual([released]);
  const [release] = await query('select artifacts from releases where version = $1', [released]);
  expect(release?.artifacts).toEqual([expect.objectContaining({ digest: `sha256:${published[released]}` })]);
};

/** Each ring's advertisements have one row a sequence, in order, and what is advertised is the last of them. */
const expectAdvertisedOnce = async (): Promise<void> => {
  for (const ring of ['canary', 'production']) {
    const rows = await installation.query('select sequence, document from advertisements where ring = $1 order by sequence', [ring]);
    const [state] = await installation.query('select sequence, version, state from rings where ring = $1', [ring]);
    expect(rows.map((row) => row.sequence)).toEqual(rows.map((_, index) => index + 1));
    expect(rows.at(-1)?.sequence).toBe(state?.sequence);
    expect(await readAdvertised(ring)).toBe(state?.version);
    expect(state?.state).toBe('verified');
  }
};

const expectHosts = async (released: string): Promise<void> => {
  const hosts = await installation.api().listHosts({ app: APP });
  expect(hosts.map(({ hostId, converged, report }) => [hostId, converged, report?.installed?.version])).toEqual(
    HOSTS.map((host) => [host, true, released]),
  );
};

const expectTidy = async (): Promise<void> => {
  expect(await installation.query('select * from locks')).toEqual([]);
  await expectNothingLeftBehind(installation);
  await expectAuditWhole(installation);
};

/** A commit that goes the whole way. */
const delivery = (): Shape => {
  let content = '';
  return {
    push: async () => {
      content = randomUUID();
      return installation.developer.push({ ...sampleApp(installation.counter), content: `${content}\n` });
    },
    expectAsItShouldBe: async (run) => {
      expect(run).toMatchObject({ state: 'ended', outcome: 'succeeded' });
      version = String(run.version);
      await expectOneEffectEach(String(run.sha), version, content, { web1: 1, web2: 1, web3: 1 });
      await expectAdvertisedOnce();
      await expectHosts(version);
      await expectTidy();
    },
  };
};

/** A commit that the canary cannot install, so that the canary goes back. */
const rollback = (): Shape => {
  let content = '';
  return {
    push: async () => {
      content = randomUUID();
      const app = sampleApp(installation.counter);
      const failing = `${app['script/post-inst']}echo the disk is full >&2\ntest "$(cat "$DPKG_ROOT/opt/shop/content")" != ${content}\n`;
      return installation.developer.push({ ...app, 'script/post-inst': failing, content: `${content}\n` });
    },
    expectAsItShouldBe: async (run) => {
      expect(run).toMatchObject({ state: 'ended', outcome: 'rolled-back' });
      // Once by the install. The rollback installs over it and never configures what it leaves.
      await expectOneEffectEach(String(run.sha), String(run.version), content, { web1: 1 });
      await expectAdvertisedOnce();
      await expectHosts(version);
      await expectTidy();
    },
  };
};

it(
  'ends every run as it should, with each effect once, wherever its server is killed',
  async () => {
    const startedAt = Date.now();
    const points = await recordPoints(installation, delivery());
    const orders = killOrders(points).filter((_, index) => index % everyNth === 0);
    const { runs } = await walk(installation, delivery(), orders);
    await installation.server().stop();

    const known = new Set(points);
    const ofRollback = (await recordPoints(installation, rollback())).filter((point) => !known.has(point));
    const further = killOrders(ofRollback).filter((_, index) => index % everyNth === 0);
    const { runs: rollbacks } = await walk(installation, rollback(), further);
    await installation.server().stop();

    const seconds = Math.round((Date.now() - startedAt) / 1000);
    process.stdout.write(
      `kill walk: ${orders.length} kills in ${runs} deliveries, ${further.length} in ${rollbacks} rollbacks, ${seconds} s\n`,
    );
    // Not a list of points, but each kind of operation has to be among them.
    for (const stage of ['build', 'package', 'publish', 'rollout:canary', 'bake:canary', 'rollout:production'])
      expect(points.filter((point) => point.startsWith(`${stage}:1 `)).length).toBeGreaterThan(4);
    expect(ofRollback.filter((point) => point.startsWith('rollback:canary:1 ')).length).toBeGreaterThan(10);
  },
  WALK_TIMEOUT_MS,
);
