import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type InstallSource, parseRoleName, type StoredFile } from '@pipit/core';
import { ringSuite } from '@pipit/plugin-kit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAptRepository } from '../src/apt-repository.js';
import { bundleProgram } from './bundle-program.js';
import {
  aptGet,
  buildDeb,
  callFor,
  canary,
  files,
  installedVersion,
  makeHostRoot,
  production,
  removeFolder,
  ringOf,
  silent,
  temporaryFolder,
  until,
} from './hosts-support.js';

let folder: string;
let repository: ReturnType<typeof createAptRepository>;
const options = {};

beforeEach(async () => {
  folder = await temporaryFolder();
  repository = createAptRepository({ folder, logger: silent });
});

afterEach(async () => {
  await repository.dispose();
  await removeFolder(folder);
});

const debSource = (sources: readonly InstallSource[]): InstallSource & { format: 'deb' } => {
  const [source] = sources;
  if (source?.format !== 'deb') throw new Error('no deb source');
  return source;
};

const hostOf = async (ring = canary, name = 'host'): Promise<string> => {
  const root = join(folder, name);
  const source = debSource(await repository.installSources({ ring, options }, callFor('source')));
  await makeHostRoot(root, { uri: source.uris[0] ?? '', suite: source.suite, key: source.keys[0] ?? '' });
  return root;
};

const update = (root: string) => aptGet(root, ['update', '--error-on=any']);

describe('publish', () => {
  it('lists what hosts can read, with the digest of the bytes', async () => {
    const web = await buildDeb({ version: '1.0-1' });
    await repository.publish({ artifacts: [web], options }, callFor('publish'));
    const found = await repository.find({ name: web.name, version: web.version, options }, callFor('find'));
    expect(found).toEqual([{ format: 'deb', name: 'web', version: '1.0-1', architecture: 'all', digest: web.digest }]);
  });

  it('keeps several versions side by side', async () => {
    const one = await buildDeb({ version: '1.0' });
    const two = await buildDeb({ version: '2.0' });
    await repository.publish({ artifacts: [one], options }, callFor('p1'));
    await repository.publish({ artifacts: [two], options }, callFor('p2'));
    const fresh = createAptRepository({ folder, logger: silent });
    expect(await fresh.find({ name: one.name, version: one.version, options }, callFor('f'))).toHaveLength(1);
    expect(await fresh.find({ name: two.name, version: two.version, options }, callFor('f'))).toHaveLength(1);
  });

  it('refuses other bytes under a published version and names both digests', async () => {
    const one = await buildDeb({ version: '1.0' });
    const other = await buildDeb({ version: '1.0', files: { '/opt/web/version': 'other bytes' } });
    await repository.publish({ artifacts: [one], options }, callFor('p1'));
    const refused = repository.publish({ artifacts: [other], options }, callFor('p2'));
    await expect(refused).rejects.toMatchObject({ code: 'REPOSITORY_DIGEST_CONFLICT', recovery: 'stop' });
    await expect(refused).rejects.toThrow(one.digest);
    await expect(refused).rejects.toThrow(other.digest);
    expect(await repository.find({ name: one.name, version: one.version, options }, callFor('f'))).toMatchObject([{ digest: one.digest }]);
  });

  it('refuses a file that says another version of itself than the packager', async () => {
    const web = await buildDeb({ version: '1.0' });
    const two = await buildDeb({ version: '2.0' });
    const lie = { ...web, version: two.version };
    await expect(repository.publish({ artifacts: [lie], options }, callFor('p'))).rejects.toMatchObject({
      code: 'REPOSITORY_ARTIFACT_MISMATCH',
    });
    expect(await repository.find({ name: web.name, version: two.version, options }, callFor('f'))).toEqual([]);
  });

  it('leaves nothing of a release of which one package is not what it should be, neither served nor kept', async () => {
    const good = await buildDeb({ name: 'good', version: '1.0' });
    const garbage = await files.put(Readable.from([Buffer.from('the bytes of a secret')]));
    const web = await buildDeb({ version: '1.0' });
    const bad = { ...web, digest: garbage.sha256, content: garbage };
    const seen = new Set<string>();
    const watched = {
      ...callFor('p'),
      files: {
        ...files,
        get: (file: StoredFile) => {
          for (const path of readdirSync(join(folder, 'apt'), { recursive: true })) seen.add(String(path));
          return files.get(file);
        },
      },
    };
    await expect(repository.publish({ artifacts: [good, bad], options }, watched)).rejects.toMatchObject({
      code: 'REPOSITORY_ARTIFACT_MISMATCH',
      recovery: 'stop',
    });
    // Also meanwhile nothing stood in the folder that is served.
    expect([...seen].sort()).toEqual(['dists', 'pool', 'views']);
    expect(await readdir(join(folder, 'apt'), { recursive: true })).toEqual(['dists', 'pool', 'views']);
    expect((await readdir(folder)).sort()).toEqual(['apt', 'gnupg']);
  });

  it('leaves nothing when the index cannot be signed', async () => {
    await repository.installSources({ ring: canary, options }, callFor('s'));
    await repository.dispose();
    await rm(join(folder, 'gnupg/private-keys-v1.d'), { recursive: true });
    const web = await buildDeb({ version: '1.0' });
    await expect(repository.publish({ artifacts: [web], options }, callFor('p'))).rejects.toMatchObject({
      code: 'REPOSITORY_SIGNING_FAILED',
    });
    expect(await readdir(join(folder, 'apt/pool'))).toEqual([]);
    expect(await readdir(join(folder, 'apt/dists'))).toEqual([]);
    expect(await readdir(join(folder, 'apt/views/published'))).toEqual([]);
  });

  it.each([0o000, 0o022, 0o077])('serves files of mode 0644 in folders of mode 0755 with the umask %o, and nothing else', async (umask) => {
    const web = await buildDeb({ version: '1.0' });
    const before = process.umask(umask);
    try {
      await repository.publish({ artifacts: [web], options }, callFor('p'));
      await repository.offer({ ring: canary, artifacts: [web], options }, callFor('o'));
    } finally {
      process.umask(before);
    }
    const found = await readdir(join(folder, 'apt'), { recursive: true, withFileTypes: true });
    expect(found.length).toBeGreaterThan(15);
    for (const entry of found.filter((each) => !each.isSymbolicLink())) {
      const path = join(entry.parentPath, entry.name);
      const mode = (await stat(path)).mode & 0o7777;
      expect(`${path} ${mode.toString(8)}`).toBe(`${path} ${entry.isDirectory() ? '755' : '644'}`);
    }
    expect((await stat(join(folder, 'gnupg'))).mode & 0o777).toBe(0o700);
  });

  it('drops the oldest versions beyond the limit, but never one that a ring is offered', async () => {
    const small = createAptRepository({ folder, logger: silent, keepVersions: 2 });
    const versions = await Promise.all(['1', '2', '3', '4'].map((version) => buildDeb({ version })));
    const [first, second] = versions;
    if (first === undefined || second === undefined) throw new Error('no packages');
    await small.publish({ artifacts: [first], options }, callFor('p0'));
    await small.offer({ ring: production, artifacts: [first], options }, callFor('o'));
    for (const web of versions.slice(1)) await small.publish({ artifacts: [web], options }, callFor(`p${web.version}`));
    const left = await Promise.all(versions.map((web) => small.find({ name: web.name, version: web.version, options }, callFor('f'))));
    expect(left.map((found) => found.length)).toEqual([1, 0, 1, 1]);
    expect(existsSync(join(folder, 'apt/pool/web/2'))).toBe(false);
  });

  it('is serialised over two instances', async () => {
    const other = createAptRepository({ folder, logger: silent });
    const debs = await Promise.all(['1', '2', '3', '4'].map((version) => buildDeb({ version })));
    await Promise.all(
      debs.map((web, index) => (index % 2 === 0 ? repository : other).publish({ artifacts: [web], options }, callFor(web.version))),
    );
    for (const web of debs) expect(await repository.find({ name: web.name, version: web.version, options }, callFor('f'))).toHaveLength(1);
  });

  it('ends well when it is repeated after a kill at any moment', async () => {
    const web = await buildDeb({ version: '1.0' });
    const deb = join(folder, 'web.deb');
    const chunks: Uint8Array[] = [];
    if (!('sha256' in web.content)) throw new Error('no content');
    for await (const chunk of files.get(web.content)) chunks.push(chunk);
    await writeFile(deb, Buffer.concat(chunks));
    // A process of its own publishes; it is killed later and later, until it gets through.
    const program = join(import.meta.dirname, 'publish-in-child.ts');
    let ended = false;
    let kills = 0;
    const built = await bundleProgram(program, folder);
    for (let afterMs = 20; !ended && afterMs < 4_000; afterMs += 35) {
      const child = spawn(process.execPath, [built, folder, deb, web.digest], { stdio: 'ignore', detached: true });
      ended = await new Promise<boolean>((resolve) => {
        const timer = setTimeout(() => {
          if (child.pid !== undefined) process.kill(child.pid, 'SIGKILL');
        }, afterMs);
        child.once('exit', (code) => {
          clearTimeout(timer);
          resolve(code === 0);
        });
      });
      if (!ended) kills += 1;
    }
    expect(ended).toBe(true);
    expect(kills).toBeGreaterThan(3);
    await repository.publish({ artifacts: [web], options }, callFor('again'));
    expect(await repository.find({ name: web.name, version: web.version, options }, callFor('f'))).toMatchObject([{ digest: web.digest }]);
    expect((await readdir(folder)).sort()).toEqual(['apt', 'child.mjs', 'gnupg', 'web.deb']);
    await repository.dispose();
    await until('no agent', async () => ((await agentsOf(folder)).length === 0 ? true : undefined));
    await repository.offer({ ring: canary, artifacts: [web], options }, callFor('offer'));
    expect((await update(await hostOf())).exitCode).toBe(0);
  }, 60_000);
});

describe('offer', () => {
  it("makes a version the only one that a ring's hosts see", async () => {
    const [one, two] = [await buildDeb({ version: '1.0' }), await buildDeb({ version: '2.0' })];
    await repository.publish({ artifacts: [one, two], options }, callFor('p'));
    await repository.offer({ ring: canary, artifacts: [two], options }, callFor('o1'));
    await repository.offer({ ring: production, artifacts: [one], options }, callFor('o2'));
    const root = await hostOf(production);
    expect((await update(root)).stderr).toBe('');
    const shown = await aptGet(root, ['install', '--yes', 'web']);
    expect(shown.exitCode).toBe(0);
    expect(await installedVersion(root)).toBe('installed 1.0');
  });

  it('leaves a host on its version when apt-get upgrade runs while another ring has a newer one', async () => {
    const [one, two] = [await buildDeb({ version: '1.0' }), await buildDeb({ version: '2.0' })];
    await repository.publish({ artifacts: [one], options }, callFor('p'));
    await repository.offer({ ring: production, artifacts: [one], options }, callFor('o'));
    const root = await hostOf(production);
    await update(root);
    await aptGet(root, ['install', '--yes', 'web']);
    await repository.publish({ artifacts: [two], options }, callFor('p2'));
    await repository.offer({ ring: canary, artifacts: [two], options }, callFor('o2'));
    expect((await update(root)).exitCode).toBe(0);
    expect((await aptGet(root, ['dist-upgrade', '--yes'])).exitCode).toBe(0);
    expect(await installedVersion(root)).toBe('installed 1.0');
    // The same host as canary gets it: what kept it back was the offer and nothing else.
    await repository.offer({ ring: production, artifacts: [two], options }, callFor('o3'));
    await update(root);
    await aptGet(root, ['dist-upgrade', '--yes']);
    expect(await installedVersion(root)).toBe('installed 2.0');
  });

  it('can be repeated: the second time nothing changes', async () => {
    const web = await buildDeb({ version: '1.0' });
    await repository.publish({ artifacts: [web], options }, callFor('p'));
    await repository.offer({ ring: canary, artifacts: [web], options }, callFor('o'));
    const release = join(folder, 'apt/dists/web-app-canary/InRelease');
    const before = await stat(release);
    await repository.offer({ ring: canary, artifacts: [web], options }, callFor('o'));
    expect((await stat(release)).ino).toBe(before.ino);
  });

  it('refuses what was never published', async () => {
    const web = await buildDeb({ version: '1.0' });
    await expect(repository.offer({ ring: canary, artifacts: [web], options }, callFor('o'))).rejects.toMatchObject({
      code: 'REPOSITORY_ARTIFACT_MISSING',
    });
  });

  it('refuses a package whose file somebody changed in the pool', async () => {
    const web = await buildDeb({ version: '1.0' });
    await repository.publish({ artifacts: [web], options }, callFor('p'));
    await writeFile(join(folder, 'apt/pool/web/1.0/all/web_1.0_all.deb'), 'other');
    await expect(repository.offer({ ring: canary, artifacts: [web], options }, callFor('o'))).rejects.toMatchObject({
      code: 'REPOSITORY_DIGEST_CONFLICT',
    });
  });

  it('never breaks an apt-get update that runs at the same time', async () => {
    const debs = await Promise.all(['1.0', '2.0'].map((version) => buildDeb({ version })));
    await repository.publish({ artifacts: debs, options }, callFor('p'));
    await repository.offer({ ring: canary, artifacts: debs.slice(0, 1), options }, callFor('o'));
    const root = await hostOf();
    const results: number[] = [];
    let offering = true;
    const updates = (async () => {
      while (offering) {
        const result = await update(root);
        results.push(result.exitCode);
        if (result.exitCode !== 0) throw new Error(result.stderr);
      }
    })();
    for (let round = 0; round < 25; round += 1) {
      const at = round % 2;
      await repository.offer({ ring: canary, artifacts: debs.slice(1 - at, 2 - at), options }, callFor(`o${round}`));
    }
    offering = false;
    await updates;
    expect(results.length).toBeGreaterThan(3);
    expect(new Set(results)).toEqual(new Set([0]));
    expect((await readdir(join(folder, 'apt/views/web-app-canary'))).length).toBeLessThanOrEqual(3);
  }, 60_000);
});

describe('remove', () => {
  it('takes a version out of the index and the pool', async () => {
    const web = await buildDeb({ version: '1.0' });
    await repository.publish({ artifacts: [web], options }, callFor('p'));
    await repository.remove({ artifacts: [web], options }, callFor('r'));
    expect(await repository.find({ name: web.name, version: web.version, options }, callFor('f'))).toEqual([]);
    expect(await readdir(join(folder, 'apt/pool'))).toEqual([]);
  });

  it('refuses what a ring is offered', async () => {
    const web = await buildDeb({ version: '1.0' });
    await repository.publish({ artifacts: [web], options }, callFor('p'));
    await repository.offer({ ring: canary, artifacts: [web], options }, callFor('o'));
    await expect(repository.remove({ artifacts: [web], options }, callFor('r'))).rejects.toMatchObject({
      code: 'REPOSITORY_ARTIFACT_OFFERED',
    });
  });
});

describe('the signing key', () => {
  it('stays secret, is kept, and leaves no agent behind', async () => {
    const source = debSource(await repository.installSources({ ring: canary, options }, callFor('s')));
    expect(source.keys[0]).toContain('BEGIN PGP PUBLIC KEY BLOCK');
    expect((await stat(join(folder, 'gnupg'))).mode & 0o777).toBe(0o700);
    const again = debSource(await createAptRepository({ folder, logger: silent }).installSources({ ring: canary, options }, callFor('s')));
    expect(again.keys).toEqual(source.keys);
    await repository.dispose();
    await until('no agent', async () => ((await agentsOf(folder)).length === 0 ? true : undefined));
  });

  it('signs also in a folder whose path is too long for a socket', async () => {
    const deep = join(folder, 'x'.repeat(60), 'y'.repeat(60));
    await mkdir(deep, { recursive: true });
    const far = createAptRepository({ folder: deep, logger: silent });
    const web = await buildDeb({ version: '1.0' });
    await far.publish({ artifacts: [web], options }, callFor('p'));
    expect(await far.find({ name: web.name, version: web.version, options }, callFor('f'))).toHaveLength(1);
    await far.dispose();
    await until('no agent', async () => ((await agentsOf('pipit-gpg-')).length === 0 ? true : undefined));
  });
});

const agentsOf = async (text: string): Promise<readonly string[]> => {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter((line) => line.startsWith('gpg-agent') && line.includes(text));
};

it('gives two rings never the same suite', () => {
  const plain = { ...ringOf('b', 'web-app'), role: parseRoleName('x') };
  const dashed = { ...ringOf('x-b', 'web'), role: parseRoleName('app') };
  expect(ringSuite(plain)).toBe('web-app-x-b');
  expect(ringSuite(dashed)).not.toBe(ringSuite(plain));
});
