/** What hosts, doctor and an operator see: always on the fake Freight, and on the real one where it is on PATH. */
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Artifact } from '@pipit/core';
import { buildTestDeb, createTestShell, type TestDeb } from '@pipit/plugin-testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  canary,
  type FreightProgram,
  type FreightWorld,
  fakeFreight,
  NO_FREIGHT,
  openFreightWorld,
  options,
  production,
  realFreight,
  ringOf,
} from './freight-world.js';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 });

let world: FreightWorld;
const deb = (request: TestDeb): Promise<Artifact> => buildTestDeb(world.files, request);
const publish = async (...artifacts: readonly Artifact[]) => (await world.open()).publish({ artifacts, options }, await world.createOp());
const offer = async (ring: typeof canary, ...artifacts: readonly Artifact[]) =>
  (await world.open()).offer?.({ ring, artifacts, options }, await world.createOp());
const find = async ({ name, version }: Artifact) => (await world.open()).find({ name, version, options }, await world.createOp());
const remove = async (...artifacts: readonly Artifact[]) => (await world.open()).remove?.({ artifacts, options }, await world.createOp());

const bytesOf = (artifact: Artifact) => {
  if (!('sha256' in artifact.content)) throw new Error('no content');
  return world.files.get(artifact.content);
};

const behaviours = (program: FreightProgram): void => {
  beforeEach(async () => {
    world = await openFreightWorld(program);
  });
  afterEach(() => world.close());

  it("leaves a host on its ring's version when apt-get upgrade runs while another ring has a newer one", async () => {
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
    const web = await deb({ version: '1.0' });
    await publish(web);
    await offer(canary, web);
    const host = await world.hostOf(canary);
    expect((await host.update()).exitCode).toBe(0);
    expect((await world.checkHealth()).filter(({ ok }) => !ok)).toEqual([]);
    for (const suite of ['published', 'web-app-canary']) {
      const path = join(world.root, 'cache/dists', suite, 'InRelease');
      await writeFile(path, (await readFile(path, 'utf8')).replace('Components: main', 'Components: evil'));
    }
    expect((await host.update()).exitCode).toBe(100);
    const broken = (await world.checkHealth()).filter(({ ok }) => !ok);
    expect(broken.map(({ name }) => name)).toEqual(['suite published', 'suite web-app-canary']);
    expect(broken[0]?.detail).toContain('BAD signature');
    await expect(find(web)).rejects.toMatchObject({ code: 'REPOSITORY_SIGNATURE_BROKEN', recovery: 'stop' });
  });

  it('keeps the apps of a ring in distributions of their own', async () => {
    const [web, api] = [await deb({ version: '1.0' }), await deb({ version: '3.0', name: 'api' })];
    await publish(web, api);
    await offer(canary, web);
    await offer(ringOf('canary', 'api'), api);
    const host = await world.hostOf(canary);
    expect(await host.offeredVersions('web')).toEqual(['1.0']);
    expect(await host.offeredVersions('api')).toEqual([]);
  });

  it('drops the versions published first beyond keepVersions, but never what a ring is offered', async () => {
    const versions = await Promise.all(['1', '2', '3', '4'].map((version) => deb({ version })));
    const repository = await world.open({ keepVersions: 2 });
    for (const [index, web] of versions.entries()) {
      await repository.publish({ artifacts: [web], options }, await world.createOp());
      if (index === 0) await offer(production, web);
    }
    const left: number[] = [];
    for (const web of versions) left.push((await find(web)).length);
    expect(left).toEqual([1, 0, 1, 1]);
    expect(await readdir(join(world.root, 'cache/pool/published/main/w/web'))).not.toContain('web_2_all.deb');
  });

  it('refuses to remove what a ring is offered', async () => {
    const web = await deb({ version: '1.0' });
    await publish(web);
    await offer(canary, web);
    await expect(remove(web)).rejects.toMatchObject({ code: 'REPOSITORY_ARTIFACT_OFFERED', recovery: 'stop' });
    expect(await find(web)).toHaveLength(1);
  });

  it('replaces what an interrupted publish left in the library, though Freight would say "already has" and 0', async () => {
    const [left, web] = [await deb({ version: '1.0', content: 'never published' }), await deb({ version: '1.0' })];
    await world.sourcesOf(canary);
    await createTestShell(world.root).write('lib/apt/published/web_1.0_all.deb', bytesOf(left));
    await publish(web);
    expect(await find(web)).toMatchObject([{ digest: web.digest }]);
  });

  it('replaces a file in the pool that Freight would go on serving under the new digest', async () => {
    const [old, web] = [await deb({ version: '1.0', content: 'old' }), await deb({ version: '1.0' })];
    await world.sourcesOf(canary);
    const pool = 'cache/pool/published/main/w/web/web_1.0_all.deb';
    const shell = createTestShell(world.root);
    await shell.write(pool, bytesOf(old));
    await publish(web);
    const sum = await shell.run(['sha256sum', pool]);
    expect(`sha256:${sum.stdout.slice(0, 64)}`).toBe(web.digest);
  });

  it('refuses to offer a file that somebody changed in the library', async () => {
    const web = await deb({ version: '1.0' });
    await publish(web);
    const path = join(world.root, 'lib/apt/published/web_1.0_all.deb');
    await rm(path);
    await writeFile(path, 'other bytes');
    await expect(offer(canary, web)).rejects.toMatchObject({ code: 'REPOSITORY_DIGEST_CONFLICT', recovery: 'stop' });
  });

  it('leaves what hosts read as it was when the secret key is gone', async () => {
    const web = await deb({ version: '1.0' });
    await publish(web);
    await rm(join(world.root, 'gnupg/private-keys-v1.d'), { recursive: true });
    await expect(publish(await deb({ version: '2.0' }))).rejects.toMatchObject({ code: 'FREIGHT_SIGNING_FAILED', recovery: 'stop' });
    expect(await find(web)).toMatchObject([{ digest: web.digest }]);
  });

  it('works with a freight.conf that is there, whose key it exports', async () => {
    await world.sourcesOf(canary);
    const fingerprint = (await readFile(join(world.root, 'gnupg/pipit-fingerprint'), 'utf8')).trim();
    const conf = join(world.folder, 'freight.conf');
    const library = join(world.folder, 'there');
    await writeFile(
      conf,
      `echo noise\nBASE=${library}\nVARLIB="$BASE/lib/"\nVARCACHE="$BASE/cache"\nARCHS="amd64"\nGPG="${fingerprint}"\n`,
    );
    const repository = await world.open({ root: undefined, conf, gnupgHome: join(world.root, 'gnupg') });
    const web = await deb({ version: '1.0' });
    await repository.publish({ artifacts: [web], options }, await world.createOp());
    expect(await repository.find({ name: web.name, version: web.version, options }, await world.createOp())).toHaveLength(1);
    const [source] = await repository.installSources({ ring: canary, options }, await world.createOp());
    expect(source).toMatchObject({ uris: [`file:${library}/cache`], keys: [expect.stringContaining('BEGIN PGP PUBLIC KEY BLOCK')] });
    await createTestShell(world.folder).run(['gpgconf', '--kill', 'gpg-agent'], { env: { GNUPGHOME: join(world.root, 'gnupg') } });
  });

  it('leaves no agent, and nothing in its working folders', async () => {
    await publish(await deb({ version: '1.0' }));
    expect((await stat(join(world.root, 'gnupg'))).mode & 0o777).toBe(0o700);
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
    expect(lines.filter((line) => line.startsWith('gpg-agent') && line.includes(world.root))).toEqual([]);
    expect((await readdir(join(world.root, 'lib'))).sort()).toEqual(['apt']);
    expect((await readdir(join(world.root, 'cache'))).filter((name) => name.startsWith('work.'))).toEqual([]);
  });
};

describe(`on ${fakeFreight.name}`, () => {
  behaviours(fakeFreight);

  const setFault = async (fault: string) => {
    await world.sourcesOf(canary);
    await createTestShell(world.root).write('lib/faults', `${fault}\n`);
  };

  it('does not believe an add that did nothing', async () => {
    await setFault('add-nothing');
    await expect(publish(await deb({ version: '1.0' }))).rejects.toMatchObject({ code: 'FREIGHT_NOT_ADDED', recovery: 'reconcile' });
  });

  it('does not believe a cache that did nothing', async () => {
    const one = await deb({ version: '1.0' });
    await publish(one);
    await setFault('cache-nothing');
    const two = await deb({ version: '2.0' });
    await expect(publish(two)).rejects.toMatchObject({ code: 'REPOSITORY_NOT_VERIFIED', recovery: 'reconcile' });
    await expect(offer(canary, one)).rejects.toMatchObject({ code: 'REPOSITORY_NOT_VERIFIED' });
    await rm(join(world.root, 'lib/faults'));
    await publish(two);
    expect(await find(two)).toHaveLength(1);
  });

  it('ends well when it is repeated after Freight was killed, and sweeps the tree that was left', async () => {
    const one = await deb({ version: '1.0' });
    await publish(one);
    await setFault('cache-killed');
    const two = await deb({ version: '2.0' });
    await expect(publish(two)).rejects.toMatchObject({ code: 'FREIGHT_FAILED', recovery: 'reconcile' });
    expect(await find(one)).toHaveLength(1);
    expect((await readdir(join(world.root, 'cache/dists'))).length).toBe(3);
    await rm(join(world.root, 'lib/faults'));
    await publish(two);
    expect(await find(two)).toHaveLength(1);
    expect((await readdir(join(world.root, 'cache/dists'))).length).toBe(2);
  });

  it.each([
    ['is not there', undefined, 'FREIGHT_CONF_UNREADABLE'],
    ['is no shell script', 'VARLIB="unended\n', 'FREIGHT_CONF_UNREADABLE'],
    ['sets no folders', 'GPG=ABCDEF\n', 'FREIGHT_CONF_INCOMPLETE'],
    ['has an option for gpg as key', 'VARLIB=/a\nVARCACHE=/b\nGPG=--homedir=/x\n', 'FREIGHT_CONF_INCOMPLETE'],
  ])('says when the freight.conf %s', async (_what, text, code) => {
    const conf = join(world.folder, 'broken.conf');
    if (text !== undefined) await writeFile(conf, text);
    const repository = await world.open({ root: undefined, conf, gnupgHome: join(world.folder, 'gnupg') });
    const asked = repository.installSources({ ring: canary, options }, await world.createOp());
    await expect(asked).rejects.toMatchObject({ code, recovery: 'stop' });
  });
});

describe(`on ${realFreight.name}`, () => {
  if (realFreight.path !== undefined) behaviours(realFreight);
  else it('does the same', ({ skip }) => skip(NO_FREIGHT));
});
