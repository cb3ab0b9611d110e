/** Attacks of one app on another, and on the host, by way of the host that they share: through a real server and real dpkg. */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RepositoryFiles } from './support/developer.js';
import { APP, createInstallation, type Installation } from './support/installation.js';
import { expectAuditWhole, readAuditTrail } from './support/left-behind.js';
import { waitUntil } from './support/wait-until.js';

const TEST_TIMEOUT_MS = 180_000;
const NEIGHBOUR = 'blog';
const FOREIGN = 'toolbox';
const HOST = 'web1';

let installation: Installation;
beforeAll(async () => {
  // A failed rollout stays as it is, so that what it left on the host is there for the others.
  installation = await createInstallation({
    rings: [{ name: 'canary', onFailure: 'stop' }],
    hosts: { [HOST]: 'canary' },
    otherApps: [NEIGHBOUR, FOREIGN, 'libc6'],
  });
  await installation.start({ installLimit: '8s' });
}, TEST_TIMEOUT_MS);
afterAll(() => installation?.remove());

let changes = 0;
const filesWith = (postInstall: string): RepositoryFiles => {
  changes += 1;
  const script = (text: string): string => `#!/bin/sh\n${text}\n`;
  return {
    'script/cisetup': script('exit 0'),
    'script/cibuild': script('exit 0'),
    'script/post-inst': script(postInstall),
    content: `${changes}\n`,
  };
};
const push = (app: string, postInstall = 'exit 0'): Promise<string> => installation.developerOf(app).push(filesWith(postInstall));
const endOf = (sha: string) => installation.waitForRun(sha, 'it has ended', (run) => run.state === 'ended', 90_000);

const root = (): string => installation.hostRoot(HOST);
const statusOf = async (name: string): Promise<string> => {
  const format = ['-f=$', '{db:Status-Status} $', '{Version}'].join('');
  const { stdout } = await execa('dpkg-query', [`--admindir=${root()}/var/lib/dpkg`, '-W', format, name], { reject: false });
  return stdout;
};
const expectDelivered = async (app: string, sha: string): Promise<void> => {
  const run = await endOf(sha);
  expect(run).toMatchObject({ outcome: 'succeeded' });
  expect(await statusOf(app)).toBe(`installed ${String(run.version)}`);
};

it(
  'delivers and rolls back an app on a host on which the post-install script of another has failed, and that one repairs itself',
  async () => {
    for (const app of [APP, NEIGHBOUR]) await expectDelivered(app, await push(app));
    const before = await statusOf(APP);
    const ran = join(root(), `opt/${NEIGHBOUR}/ran`);
    const failed = await endOf(await push(NEIGHBOUR, `echo ran >> "$DPKG_ROOT/opt/${NEIGHBOUR}/ran"; exit 3`));
    expect(failed).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('could not be installed') });
    const broken = await statusOf(NEIGHBOUR);
    expect(broken).toMatch(/^half-configured /);
    await expectDelivered(APP, await push(APP));
    const { runId } = await installation.api().rollback({ app: APP, ring: 'canary' });
    await waitUntil(
      'it is rolled back',
      async () =>
        (await installation.query('select 1 from runs where id = $1 and state = $2', [runId, 'ended'])).length > 0 ? true : undefined,
      60_000,
    );
    expect(await statusOf(APP)).toBe(before);
    expect(await statusOf(NEIGHBOUR)).toBe(broken);
    expect(await readFile(ran, 'utf8')).toBe('ran\n');
    await expectDelivered(NEIGHBOUR, await push(NEIGHBOUR));
  },
  TEST_TIMEOUT_MS,
);

it(
  'delivers an app although the post-install script of another hangs, refuses to end and holds the host',
  async () => {
    const started = join(root(), `opt/${NEIGHBOUR}/started`);
    const hanging = await push(NEIGHBOUR, `trap '' TERM INT HUP\ntouch "$DPKG_ROOT/opt/${NEIGHBOUR}/started"\nwhile :; do sleep 1; done`);
    await waitUntil(
      'the script hangs',
      () =>
        stat(started).then(
          () => true,
          () => undefined,
        ),
      60_000,
    );
    const other = await push(APP);
    expect(await endOf(hanging)).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('was not installed within 8 s') });
    await expectDelivered(APP, other);
    await expectDelivered(NEIGHBOUR, await push(NEIGHBOUR));
  },
  TEST_TIMEOUT_MS,
);

it(
  'replaces no package of the host, until the config says so, and reports it with its epoch',
  async () => {
    const folder = join(installation.folder, 'foreign');
    await mkdir(join(folder, 'DEBIAN'), { recursive: true });
    const control = `Package: ${FOREIGN}\nVersion: 1:2.3-1\nArchitecture: all\nMaintainer: Debian <d@example.org>\nDescription: x\n`;
    await writeFile(join(folder, 'DEBIAN/control'), control);
    await execa('dpkg-deb', ['--root-owner-group', '--build', folder, `${folder}.deb`]);
    await execa('dpkg', [`--root=${root()}`, '--force-not-root', '--install', `${folder}.deb`]);
    await execa('chown', ['--recursive', `--reference=${root()}/opt`, `${root()}/var/lib/dpkg`]);
    const refused = await endOf(await push(FOREIGN));
    expect(refused).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('1:2.3-1 stands on this host and is not pipit') });
    expect(await statusOf(FOREIGN)).toBe('installed 1:2.3-1');
    const [host] = await installation.api().listHosts({ app: FOREIGN });
    expect(host?.report).toMatchObject({ reachable: true, foreign: { name: FOREIGN, version: '1:2.3-1' } });
    await installation.server().stop();
    await installation.start({ takeOver: [FOREIGN] });
    await expectDelivered(FOREIGN, await push(FOREIGN));
    const taken = (await readAuditTrail(installation)).filter(({ action }) => action === 'rollout.take-over');
    expect(taken).toMatchObject([{ detail: { packages: [{ hostId: HOST, name: FOREIGN, version: '1:2.3-1' }] } }]);
  },
  TEST_TIMEOUT_MS,
);

it(
  'begins nothing for a repository of the name of what hosts cannot do without',
  async () => {
    await push('libc6');
    const outcome = await waitUntil('the push was judged', async () => {
      const rows = await installation.query("select outcome from events where outcome like 'App libc6 %'");
      return rows[0]?.outcome;
    });
    expect(outcome).toContain('of the name of one that hosts cannot do without; rename repository libc6');
    expect(await installation.query("select id from runs where app = 'libc6'")).toEqual([]);
    await expectAuditWhole(installation);
  },
  TEST_TIMEOUT_MS,
);
