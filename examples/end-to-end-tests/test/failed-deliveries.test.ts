import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostView } from '@pipit/runtime';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { APP, createInstallation, type Installation } from './support/installation.js';
import { expectAuditWhole, expectNothingLeftBehind } from './support/left-behind.js';
import { sampleApp } from './support/sample-app.js';
import { packageSize, replacePackage, signReplaced } from './support/tamper.js';

const TEST_TIMEOUT_MS = 180_000;

let installation: Installation;
/** What production runs from the beginning. */
let good: string;

const isOver = (run: Readonly<Record<string, unknown>>): boolean => run.state === 'ended' || run.waiting_for === 'promotion';
const waitForPromotion = async (sha: string): Promise<string> => {
  const run = await installation.waitForRun(sha, 'it waits for promotion', isOver, 90_000);
  expect(run).toMatchObject({ waiting_for: 'promotion' });
  return String(run.version);
};
const waitForEnd = (sha: string) => installation.waitForRun(sha, 'it has ended', (run) => run.state === 'ended', 120_000);

beforeAll(async () => {
  installation = await createInstallation({ rings: [{ name: 'canary', bake: '2s' }, { name: 'production' }] });
  await installation.start();
  const sha = await installation.developer.push(sampleApp(installation.counter));
  good = await waitForPromotion(sha);
  await installation.api().promote({ app: APP });
  expect(await waitForEnd(sha)).toMatchObject({ outcome: 'succeeded' });
}, TEST_TIMEOUT_MS);
afterAll(() => installation?.remove());

const brief = ({ hostId, report, advertised }: HostView) => ({
  hostId,
  installed: report?.installed?.version,
  sequence: report?.installed?.sequence,
  advertised: advertised?.version,
});
const readHosts = async (ring: string) => (await installation.api().listHosts({ app: APP })).filter((host) => host.ring === ring);
const productionNow = async () => (await readHosts('production')).map(brief);
const versionsOf = async (ring: string) =>
  (await readHosts(ring)).map((host) => [host.report?.installed?.version, host.advertised?.version]);

const readTail = async (runId: unknown): Promise<string> => {
  const log = await installation.api().readLog({ runId: String(runId) });
  return log.operations.flatMap((operation) => operation.pieces.map((piece) => piece.text)).join('');
};

const oneSentence = (reason: unknown): string => {
  expect(reason).toMatch(/^[^\n]{10,600}$/);
  return String(reason);
};

describe('a commit that fails', () => {
  it.each([
    {
      where: 'in CI',
      script: 'script/cibuild',
      text: '#!/bin/sh\necho 3 of 7 tests failed\nexit 1\n',
      outcome: 'failed',
      reason: /CI failed: script\/cibuild exited 1/,
      said: '3 of 7 tests failed',
    },
    {
      where: 'in its packaging',
      script: 'script/package',
      text: '#!/bin/sh\necho the compiler is missing >&2\nexit 1\n',
      outcome: 'failed',
      reason: /script\/package/,
      said: 'the compiler is missing',
    },
    {
      where: 'in the install on the canary',
      script: 'script/post-inst',
      text: '#!/bin/sh\necho the database cannot be migrated\nexit 1\n',
      outcome: 'rolled-back',
      reason: /failed in canary.*; canary is back on/,
      said: 'the database cannot be migrated',
    },
  ])(
    '$where reaches no host of production, leaves the canary on the good release, and says why',
    async ({ script, text, outcome, reason, said }) => {
      const before = await productionNow();
      const sha = await installation.developer.push({ ...sampleApp(installation.counter), [script]: text });
      const run = await waitForEnd(sha);
      expect(run).toMatchObject({ outcome });
      expect(oneSentence(run.reason)).toMatch(reason);
      expect(await readTail(run.id)).toContain(said);
      expect(await productionNow()).toEqual(before);
      expect(await versionsOf('canary')).toEqual([[good, good]]);
      expect(await installation.query(`select state from rings where ring = 'canary' and version = $1`, [good])).toEqual([
        { state: 'verified' },
      ]);
      await expectNothingLeftBehind(installation);
    },
    TEST_TIMEOUT_MS,
  );

  it('cannot be promoted', async () => {
    await expect(installation.api().promote({ app: APP })).rejects.toMatchObject({ code: expect.stringMatching(/^PROMOTION_|^RUN_/) });
  });
});

/** apt-get as somebody on that host would call it: with the host's own sources. */
const aptGet = async (host: string, ...args: string[]) => {
  const root = installation.hostRoot(host);
  const configuration = join(installation.folder, `${host}-apt.conf`);
  await writeFile(configuration, `Dir "${root}/";\n`);
  const option = (text: string): readonly string[] => ['-o', text];
  const options = [
    ...option(`Dir=${root}`),
    ...option(`Dir::State::status=${root}/var/lib/dpkg/status`),
    ...option('Dir::Bin::methods=/usr/lib/apt/methods'),
    ...option('Dir::Bin::dpkg=/usr/bin/dpkg'),
    ...option(`DPkg::Options::=--root=${root}`),
    ...option('DPkg::Options::=--force-not-root'),
    ...option('DPkg::Options::=--force-script-chrootless'),
    ...option('APT::Sandbox::User=root'),
  ];
  const { stdout } = await execa('apt-get', ['-q', ...options, ...args], {
    env: { APT_CONFIG: configuration, DEBIAN_FRONTEND: 'noninteractive' },
  });
  return stdout;
};

it(
  'changes nothing on a host of production when apt-get upgrade runs there during the bake of a canary',
  async () => {
    const sha = await installation.developer.push({ ...sampleApp(installation.counter), content: 'newer\n' });
    const run = await installation.waitForRun(sha, 'the canary bakes', (each) => each.waiting_for === 'bake' || isOver(each), 90_000);
    expect(run.state).toBe('waiting');
    const before = await productionNow();
    await aptGet('web2', 'update', '--error-on=any');
    expect(await aptGet('web2', 'upgrade', '--yes')).toMatch(/^0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded/m);
    expect(await productionNow()).toEqual(before);
    // The same call on a host that saw the repository whole would bring the canary's release in.
    const list = join(installation.hostRoot('web3'), 'etc/apt/sources.list.d');
    const [name = ''] = (await execa('ls', [list])).stdout.split('\n');
    const text = await readFile(join(list, name), 'utf8');
    await writeFile(join(list, name), text.replace(' shop-app-production ', ' published '));
    await aptGet('web3', 'update', '--error-on=any');
    expect(await aptGet('web3', 'upgrade', '--simulate')).toContain(`Inst ${APP}`);
    await writeFile(join(list, name), text);
    await aptGet('web3', 'update', '--error-on=any');
    await waitForPromotion(sha);
  },
  TEST_TIMEOUT_MS,
);

describe('other bytes under the version of the canary, put into the repository behind its back', () => {
  const expectRefused = async (sha: string, digests: { readonly was: string; readonly is: string }) => {
    const run = await waitForEnd(sha);
    expect(run).toMatchObject({ outcome: 'rolled-back' });
    expect(oneSentence(run.reason)).toContain(digests.was);
    expect(run.reason).toContain(digests.is);
    expect((await versionsOf('production')).flat()).toEqual([good, good, good, good]);
    // Not even for a moment: what the package brings was never there.
    for (const host of ['web2', 'web3']) {
      const listed = await readFile(join(installation.hostRoot(host), 'var/lib/dpkg/info', `${APP}.list`), 'utf8');
      expect(listed).not.toContain('implant');
    }
  };

  it(
    'are not offered to production',
    async () => {
      const sha = await installation.developer.push({ ...sampleApp(installation.counter), content: 'one\n' });
      const version = await waitForPromotion(sha);
      const digests = await replacePackage(installation, version);
      await installation.api().promote({ app: APP, ifCanary: version });
      await expectRefused(sha, digests);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'are not installed when they come after the offer, with an index that is signed by the repository’s own key',
    async () => {
      const sha = await installation.developer.push({ ...sampleApp(installation.counter), content: 'two\n' });
      const version = await waitForPromotion(sha);
      const server = installation.server();
      await server.arm({ point: 'rollout:production:1 install: before', afterMs: 0 });
      await installation.api().promote({ app: APP, ifCanary: version });
      await server.ended;
      const digests = await replacePackage(installation, version);
      await signReplaced(installation, 'shop-app-production', digests, await packageSize(installation, version));
      await installation.start();
      await expectRefused(sha, digests);
    },
    TEST_TIMEOUT_MS,
  );
});

it('keeps the audit trail whole', async () => {
  await expectAuditWhole(installation);
});
