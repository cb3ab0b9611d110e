/** What hosts, doctor and an operator see, on the real aptly, gpg and apt. */
import { spawn } from 'node:child_process';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Artifact } from '@pipit/core';
import { buildTestDeb, createTestShell, type TestDeb } from '@pipit/plugin-testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type AptlyWorld, canary, openApiWorld, openCommandWorld, options, production, ringOf } from './aptly-world.js';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 });

let world: AptlyWorld;
const opened = async (open: () => Promise<AptlyWorld>): Promise<AptlyWorld> => {
  world = await open();
  return world;
};
afterEach(() => world.close());

const deb = (request: TestDeb): Promise<Artifact> => buildTestDeb(world.files, request);
const publish = async (...artifacts: readonly Artifact[]) => (await world.open()).publish({ artifacts, options }, await world.createOp());
const offer = async (ring: typeof canary, ...artifacts: readonly Artifact[]) =>
  (await world.open()).offer?.({ ring, artifacts, options }, await world.createOp());
const find = async ({ name, version }: Artifact) => (await world.open()).find({ name, version, options }, await world.createOp());
const remove = async (...artifacts: readonly Artifact[]) => (await world.open()).remove?.({ artifacts, options }, await world.createOp());

describe.each([
  ['its command line', openCommandWorld],
  ['its API', openApiWorld],
])('over %s', (_name, open) => {
  it("leaves a host on its ring's version when apt-get upgrade runs while another ring has a newer one", async () => {
    await opened(open);
    const [one, two] = [await deb({ version: '1.0' }), await deb({ version: '2.0' })];
    await publish(one, two);
    await offer(production, one);
    await offer(canary, two);
    const host = await world.hostOf(production);
    expect(await host.update()).toMatchObject({ exitCode: 0 });
    expect(await host.aptGet('install', '--yes', 'web')).toMatchObject({ exitCode: 0 });
    expect(await host.aptGet('dist-upgrade', '--yes')).toMatchObject({ exitCode: 0 });
    expect(await host.installedVersion()).toBe('installed 1.0');
    await offer(production, two);
    await host.update();
    await host.aptGet('dist-upgrade', '--yes');
    expect(await host.installedVersion()).toBe('installed 2.0');
  });

  it('has its broken signature refused by apt, named by doctor, and by what reads it', async () => {
    await opened(open);
    const web = await deb({ version: '1.0' });
    await publish(web);
    await offer(canary, web);
    const host = await world.hostOf(canary);
    expect((await host.update()).exitCode).toBe(0);
    const healthy = await world.checkHealth();
    expect(healthy.filter(({ ok }) => !ok)).toEqual([]);
    expect(healthy.map(({ name }) => name)).toEqual(expect.arrayContaining(['suite published', 'suite web-app-canary']));
    for (const suite of ['published', 'web-app-canary']) {
      const path = join(world.root, 'public/dists', suite, 'InRelease');
      await writeFile(path, (await readFile(path, 'utf8')).replace('Components: main', 'Components: evil'));
    }
    expect((await host.update()).exitCode).toBe(100);
    const broken = (await world.checkHealth()).filter(({ ok }) => !ok);
    expect(broken.map(({ name }) => name)).toEqual(['suite published', 'suite web-app-canary']);
    expect(broken[0]).toMatchObject({
      detail: expect.stringContaining('BAD signature'),
      hint: expect.stringContaining('publish the suite again'),
    });
    await expect(find(web)).rejects.toMatchObject({ code: 'REPOSITORY_SIGNATURE_BROKEN', recovery: 'stop' });
  });

  it('drops the oldest commits beyond keepVersions, but never what a ring is offered', async () => {
    await opened(open);
    const versions = await Promise.all(['1', '2', '3', '4'].map((day) => deb({ version: `1.0-2026010${day}000000.aaaaaaa` })));
    const repository = await world.open({ keepVersions: 2 });
    for (const [index, web] of versions.entries()) {
      await repository.publish({ artifacts: [web], options }, await world.createOp());
      if (index === 0) await offer(production, web);
    }
    const left: number[] = [];
    for (const web of versions) left.push((await find(web)).length);
    expect(left).toEqual([1, 0, 1, 1]);
    expect((await readdir(join(world.root, 'public/pool/main/w/web'))).some((file) => file.includes('20260102'))).toBe(false);
  });

  it('refuses to remove what a ring is offered, and removes it when no ring is', async () => {
    await opened(open);
    const [one, two] = [await deb({ version: '1.0' }), await deb({ version: '2.0' })];
    await publish(one, two);
    await offer(canary, one);
    await expect(remove(one)).rejects.toMatchObject({ code: 'REPOSITORY_ARTIFACT_OFFERED', recovery: 'stop' });
    expect(await find(one)).toHaveLength(1);
    await offer(canary, two);
    await remove(one);
    expect(await find(one)).toEqual([]);
    expect(await (await world.hostOf(canary)).offeredVersions()).toEqual(['2.0']);
  });
});

describe('a suite', () => {
  it('holds one app and role only', async () => {
    await opened(openCommandWorld);
    const [web, api] = [await deb({ version: '1.0' }), await deb({ version: '3.0', name: 'api' })];
    await publish(web, api);
    await offer(canary, web);
    await offer(ringOf('canary', 'api'), api);
    const [webHost, apiHost] = [await world.hostOf(canary, 'a'), await world.hostOf(ringOf('canary', 'api'), 'b')];
    expect(await webHost.offeredVersions('web')).toEqual(['1.0']);
    expect(await webHost.offeredVersions('api')).toEqual([]);
    expect(await apiHost.offeredVersions('api')).toEqual(['3.0']);
  });

  it('is not published again when an offer is repeated', async () => {
    await opened(openCommandWorld);
    const web = await deb({ version: '1.0' });
    await publish(web);
    await offer(canary, web);
    const path = join(world.root, 'public/dists/web-app-canary/InRelease');
    const before = await stat(path);
    await offer(canary, web);
    expect((await stat(path)).ino).toBe(before.ino);
  });

  it('never breaks an apt-get update that runs while it is switched', async () => {
    await opened(openCommandWorld);
    const [one, two] = [await deb({ version: '1.0' }), await deb({ version: '2.0' })];
    await publish(one, two);
    await offer(canary, one);
    const host = await world.hostOf(canary);
    const results: { readonly exitCode: number; readonly stderr: string }[] = [];
    let offering = true;
    const updates = (async () => {
      while (offering) results.push(await host.update());
    })();
    try {
      for (let round = 0; round < 6; round += 1) await offer(canary, round % 2 === 0 ? two : one);
    } finally {
      offering = false;
      await updates;
    }
    expect(results.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
    expect(results.length).toBeGreaterThan(3);
  });

  it('is published anew when the config has grown an architecture', async () => {
    await opened(openCommandWorld);
    const arm = await deb({ version: '1.0', architecture: 'armhf' });
    await publish(await deb({ version: '0.9' }));
    await expect(publish(arm)).rejects.toMatchObject({ code: 'APTLY_ARCHITECTURE_NOT_PUBLISHED' });
    const grown = await world.open({ architectures: ['amd64', 'armhf'] });
    await grown.publish({ artifacts: [arm], options }, await world.createOp());
    expect(await find(arm)).toMatchObject([{ architecture: 'armhf', digest: arm.digest }]);
  });
});

describe('trouble', () => {
  it('is to be tried again when another aptly has the database open', async () => {
    await opened(openCommandWorld);
    const web = await deb({ version: '1.0' });
    await publish(await deb({ version: '0.9' }));
    const holder = spawn('flock', ['--exclusive', join(world.root, 'db/LOCK'), 'sh', '-c', 'echo held; exec sleep 600'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    });
    const ended = new Promise((resolve) => holder.once('exit', resolve));
    try {
      await new Promise((resolve) => holder.stdout.once('data', resolve));
      await expect(publish(web)).rejects.toMatchObject({ code: 'APTLY_DATABASE_LOCKED', recovery: 'retry' });
    } finally {
      if (holder.pid !== undefined) process.kill(-holder.pid, 'SIGKILL');
      await ended;
    }
    await publish(web);
    expect(await find(web)).toHaveLength(1);
  });

  it('leaves what hosts read as it was when the secret key is gone', async () => {
    await opened(openCommandWorld);
    const web = await deb({ version: '1.0' });
    await publish(web);
    const before = await readFile(join(world.root, 'public/dists/published/InRelease'), 'utf8');
    await rm(join(world.root, 'gnupg/private-keys-v1.d'), { recursive: true });
    await expect(publish(await deb({ version: '2.0' }))).rejects.toMatchObject({ code: 'APTLY_SIGNING_FAILED', recovery: 'stop' });
    expect(await readFile(join(world.root, 'public/dists/published/InRelease'), 'utf8')).toBe(before);
    expect(await find(web)).toMatchObject([{ digest: web.digest }]);
  });

  it('names a key that is not there', async () => {
    await opened(openCommandWorld);
    const repository = await world.open({ key: '0123456789ABCDEF' });
    const asked = repository.installSources({ ring: canary, options }, await world.createOp());
    await expect(asked).rejects.toMatchObject({ code: 'REPOSITORY_KEY_MISSING', recovery: 'stop' });
  });

  it('replaces what an interrupted publish left in the local repository, which nobody has seen', async () => {
    await opened(openCommandWorld);
    await publish(await deb({ version: '0.9' }));
    const [left, web] = [await deb({ version: '1.0', content: 'never published' }), await deb({ version: '1.0' })];
    const shell = createTestShell(world.folder);
    if (!('sha256' in left.content)) throw new Error('no content');
    await shell.write('web_1.0_all.deb', world.files.get(left.content));
    const config = `-config=${world.root}/pipit-aptly.conf`;
    expect(await shell.run(['aptly', config, 'repo', 'add', 'pipit', 'web_1.0_all.deb'])).toMatchObject({ exitCode: 0 });
    await publish(web);
    expect(await find(web)).toMatchObject([{ digest: web.digest }]);
  });

  it('refuses a file that says another version of itself than the packager', async () => {
    await opened(openCommandWorld);
    const [web, two] = [await deb({ version: '1.0' }), await deb({ version: '2.0' })];
    await expect(publish({ ...web, version: two.version })).rejects.toMatchObject({ code: 'REPOSITORY_ARTIFACT_MISMATCH' });
  });
});

it('keeps its key secret and leaves no agent behind', async () => {
  await opened(openCommandWorld);
  await publish(await deb({ version: '1.0' }));
  expect((await stat(join(world.root, 'gnupg'))).mode & 0o777).toBe(0o700);
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  expect(lines.filter((line) => line.startsWith('gpg-agent') && line.includes(world.root))).toEqual([]);
});
