import { existsSync } from 'node:fs';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Sandbox, Shell } from '@pipit/core';
import { createSandbox } from '@pipit/plugin-kit';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { createLocalShell } from '../src/work/local-shell.js';

const SECRET = 'secret-of-pipit';
const MAX_FILE_BYTES = 1024 * 1024;

let top: string;
let folder: string;
let secrets: string;
let shell: Shell;
let given: string[];
let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await createSandbox({ hidden: [] });
});

beforeEach(async () => {
  // Root's own temporary folder may be closed to the sandbox's user.
  top = await mkdtemp(join(process.getuid?.() === 0 ? '/var/tmp' : tmpdir(), 'pipit-shell-'));
  await chmod(top, 0o711);
  folder = join(top, 'work');
  secrets = join(top, 'secrets');
  await mkdir(folder);
  await mkdir(secrets, { mode: 0o700 });
  await writeFile(join(secrets, 'key'), SECRET, { mode: 0o600 });
  given = [];
  shell = createLocalShell({
    folder,
    sandbox: {
      ...sandbox,
      giveFolder: async (path) => {
        given.push(path);
        await sandbox.giveFolder(path);
      },
    },
    signal: new AbortController().signal,
    deadlineMs: 20_000,
    maxFileBytes: MAX_FILE_BYTES,
    openOutput: () => ({ write: () => undefined, end: () => undefined }),
  });
});
afterEach(() => rm(top, { recursive: true, force: true }));

const confined = async (script: string): Promise<void> => {
  const { exitCode, stderr } = await shell.run(['sh', '-c', script], { confined: true });
  if (exitCode !== 0) throw new Error(stderr);
};

const read = async (path: string): Promise<string> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of shell.read(path)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};

it.each([
  ['a link', () => `ln -s ${secrets}/key package.deb`],
  ['a link that means another file in the sandbox than here', () => 'mkdir etc; ln -s /proc/self/cwd/etc/shadow package.deb'],
  ['a link of the process that reads', () => 'ln -s /proc/self/environ package.deb'],
  ['a link to an endless device', () => 'ln -s /dev/zero package.deb'],
  ['a pipe', () => 'mkfifo package.deb'],
  ['a folder', () => 'mkdir package.deb'],
])('reads nothing when repository code left %s in the place of a package', async (_name, script) => {
  await confined(script());
  await expect(read('package.deb')).rejects.toMatchObject({ code: 'CONFINED_PATH_REFUSED', recovery: 'stop' });
});

it('reads nothing through a folder that repository code made a link', async () => {
  await confined(`mkdir -p fpm/work && mv fpm gone && ln -s ${secrets} fpm`);
  for (const path of ['fpm/key', './gone/../fpm/key', `${folder}/fpm/key`])
    await expect(read(path)).rejects.toMatchObject({ code: 'CONFINED_PATH_REFUSED' });
});

it('reads no more of a file than a package may have, and none of one that is all holes', async () => {
  await confined('truncate -s 3G package.deb');
  await expect(read('package.deb')).rejects.toMatchObject({ code: 'CONFINED_FILE_TOO_LARGE', recovery: 'stop' });
});

it('writes over a link and not through it, and refuses a folder that became one', async () => {
  await confined(`ln -s ${secrets}/key note; ln -s ${secrets} folder`);
  await shell.write('note', 'mine');
  expect(await readFile(join(secrets, 'key'), 'utf8')).toBe(SECRET);
  expect((await lstat(join(folder, 'note'))).isFile()).toBe(true);
  await expect(shell.write('folder/new', 'mine')).rejects.toMatchObject({ code: 'CONFINED_PATH_REFUSED' });
  expect(await readdir(secrets)).toEqual(['key']);
});

it('shows repository code nothing more by a working folder that it made a link', async () => {
  await confined(`mkdir input && rmdir input && ln -s ${secrets} input`);
  await expect(shell.run(['cat', 'key'], { confined: true, cwd: 'input' })).rejects.toMatchObject({ code: 'CONFINED_PATH_REFUSED' });
});

it('makes private files and folders, and exactly the mode that is asked for, whatever the umask', async () => {
  for (const umask of [0o000, 0o077]) {
    const before = process.umask(umask);
    try {
      await shell.write(`${umask}/private`, 'text');
      await shell.write(`${umask}/script`, 'text', { mode: 0o755 });
    } finally {
      process.umask(before);
    }
    const modes = await Promise.all(
      ['', 'private', 'script'].map(async (name) => (await stat(join(folder, `${umask}`, name))).mode & 0o777),
    );
    expect(modes).toEqual([0o700, 0o600, 0o755]);
  }
});

it('gives the folder to repository code once for what pipit wrote, and not again for what that code left', async () => {
  await confined('true');
  await confined('true');
  expect(given).toHaveLength(1);
  await shell.write('more', 'text');
  await confined('cat more');
  expect(given).toHaveLength(2);
  await shell.run(['touch', 'again']);
  await confined('rm -f again');
  expect(given).toHaveLength(3);
});

it('reads and writes where the config says, links on the way followed, but plain files only', async () => {
  await symlink(secrets, join(top, 'link'));
  expect(await read(join(top, 'link', 'key'))).toBe(SECRET);
  await shell.write(join(top, 'link', 'new', 'conf'), 'text', { mode: 0o644 });
  expect(await readFile(join(secrets, 'new', 'conf'), 'utf8')).toBe('text');
  await expect(read('/dev/zero')).rejects.toMatchObject({ code: 'CONFINED_PATH_REFUSED' });
  await expect(read('none')).rejects.toMatchObject({ code: 'SHELL_FILE_NOT_FOUND' });
  expect(existsSync(join(folder, 'none'))).toBe(false);
});
