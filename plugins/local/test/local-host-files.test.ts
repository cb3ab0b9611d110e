import { mkdir, readdir, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseHostAddress, parsePackageName } from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ensureRoot, readHostFile, readInstalled } from '../src/local-deployer-root.js';
import { removeFolder, temporaryFolder, trusted } from './hosts-support.js';

const STATUS = [
  'Package: web',
  'Status: install ok installed',
  'Version: 1.0',
  'Architecture: all',
  'Maintainer: a <a@b>',
  'Description: a',
  // Made by pipit: without this it would count as somebody else's.
  `X-Pipit-Commit: ${'a'.repeat(40)}`,
  '',
].join('\n');
const host = { id: 'web1', address: parseHostAddress('127.0.0.1'), available: true, attributes: {} };

let folder: string;
let root: string;
let outside: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  root = join(folder, 'web1');
  outside = join(folder, 'outside');
  await mkdir(outside);
  await writeFile(join(outside, 'secret'), 'secret');
  await ensureRoot(root, trusted);
  await writeFile(join(root, 'var/lib/dpkg/status'), STATUS);
});
afterEach(() => removeFolder(folder));

const installed = () => readInstalled(host, root, parsePackageName('web'), AbortSignal.timeout(10_000));

/** What a post-install script, which is root in its host, may leave there. */
const fifo = async (path: string): Promise<void> => {
  await runCommand(['mkfifo', path], { cwd: '/', env: minimalEnvironment('/') });
};

it.each([
  ['a pipe', fifo],
  ['a link to an endless device', (path: string) => symlink('/dev/zero', path)],
  ['a link that leads out of the host', (path: string) => symlink(join(outside, 'secret'), path)],
  ['a terabyte of holes', async (path: string) => writeFile(path, '').then(() => truncate(path, 2 ** 40))],
])("takes nothing for installed, and waits for nothing, when dpkg's database became %s", async (_name, set) => {
  expect((await installed()).installed?.version).toBe('1.0');
  const status = join(root, 'var/lib/dpkg/status');
  await rm(status);
  await set(status);
  const began = Date.now();
  expect(await installed()).toEqual({});
  expect(Date.now() - began).toBeLessThan(5_000);
});

it.each(['arch', 'triggers/File', 'triggers/Unincorp'])('does not wait for a pipe at %s in the database', async (file) => {
  await mkdir(join(root, 'var/lib/dpkg/triggers'), { recursive: true });
  await fifo(join(root, 'var/lib/dpkg', file));
  expect((await installed()).installed?.version).toBe('1.0');
});

it.each([
  ['a pipe', fifo],
  ['a link that leads out of the host', (path: string) => symlink(join(outside, 'secret'), path)],
  ['gigabytes of holes', async (path: string) => writeFile(path, '').then(() => truncate(path, 2 ** 34))],
])("takes nothing for installed, and waits for nothing, when dpkg's journal has %s", async (_name, set) => {
  await set(join(root, 'var/lib/dpkg/updates/0001'));
  expect(await installed()).toEqual({});
});

it('reads what stands in the journal only', async () => {
  await writeFile(join(root, 'var/lib/dpkg/updates/0001'), STATUS.replace('ok installed', 'ok half-configured'));
  expect((await installed()).broken).toContain('half-configured');
});

it('reads files of the host, through links within it, and nothing else', async () => {
  await writeFile(join(root, 'var/lib/pipit/receipt'), 'mine');
  await symlink('var', join(root, 'also'));
  await symlink(outside, join(root, 'out'));
  await symlink(join(outside, 'secret'), join(root, 'var/lib/pipit/link'));
  await fifo(join(root, 'var/lib/pipit/pipe'));
  for (const path of ['var/lib/pipit/receipt', 'also/lib/pipit/receipt']) expect(await readHostFile(root, join(root, path))).toBe('mine');
  for (const path of ['out/secret', 'var/lib/pipit/link', 'var/lib/pipit/pipe', 'var/lib/pipit', 'none'])
    expect(await readHostFile(root, join(root, path))).toBeUndefined();
});

it('makes a host again whose database is gone, but nothing through a link that its packages left', async () => {
  await rm(join(root, 'var/lib/dpkg/status'));
  await ensureRoot(root, trusted);
  expect(await readdir(join(root, 'var/lib/dpkg'))).toContain('status');
  await rm(join(root, 'var/lib/dpkg/status'));
  await rename(join(root, 'var'), join(root, 'gone'));
  await symlink(outside, join(root, 'var'));
  await expect(ensureRoot(root, trusted)).rejects.toMatchObject({ code: 'CONFINED_PATH_REFUSED' });
  expect(await readdir(outside)).toEqual(['secret']);
});
