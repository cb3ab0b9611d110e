/** What the real Freight 0.3.13 said and wrote, recorded: pipit reads it, and the fake says the same. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePackagesIndexes, readSuite } from '@pipit/plugin-kit';
import { buildTestDeb, createMemoryFileStore, createTemporaryFolder, createTestShell, type TemporaryFolder } from '@pipit/plugin-testing';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { fakeFreight } from './freight-world.js';

vi.setConfig({ testTimeout: 120_000 });

const fixture = (name: string) => readFile(join(import.meta.dirname, '../src/__fixtures__', `freight-0.3.13-${name}`), 'utf8');

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await createTemporaryFolder();
});
afterEach(() => folder.remove());

it('reads the index that Freight wrote', async () => {
  expect(parsePackagesIndexes([await fixture('Packages.txt')])).toEqual([
    {
      format: 'deb',
      name: 'web',
      version: '1.0',
      architecture: 'all',
      digest: 'sha256:e16c3f71f82dd17cd4b5b725ccf413f24fdb63d26a4078f017c260112545958a',
      path: 'pool/published/main/w/web/web_1.0_all.deb',
    },
  ]);
});

it('reads the empty distribution that Freight signs for a name it does not know', async () => {
  const shell = createTestShell(folder.path);
  const inRelease = Buffer.from(await fixture('empty-InRelease.txt'));
  const tree = { place: 'the recording', read: async (path: string) => (path === 'dists/unknown/InRelease' ? inRelease : undefined) };
  const keys = [await fixture('public-key.asc')];
  expect(await readSuite({ tree, suite: 'unknown', keys, shell })).toMatchObject({ state: 'readable', packages: [] });
});

it('has a fake that ends and speaks as the real one did', async () => {
  const files = createMemoryFileStore();
  const shell = createTestShell(folder.path);
  const put = async (path: string, content?: string) => {
    const { content: stored } = await buildTestDeb(files, { version: '1.0', ...(content === undefined ? {} : { content }) });
    if ('sha256' in stored) await shell.write(path, files.get(stored));
  };
  await put('freight/web_1.0_all.deb');
  await put('other/web_1.0_all.deb', 'other bytes');
  await shell.write('freight/bad_1_all.deb', 'junk\n');
  const env = { GNUPGHOME: join(folder.path, 'gnupg') };
  await shell.run(['mkdir', '-m', '700', 'gnupg']);
  await shell.run(['gpg', '--batch', '--passphrase', '', '--quick-generate-key', 'somebody', 'ed25519', 'sign', 'never'], { env });
  const place = `${folder.path}/freight`;
  const conf = (key: string) => `VARLIB=${place}/lib\nVARCACHE=${place}/cache\nARCHS='amd64 arm64'\nGPG=${key}\n`;
  await shell.write('freight/c', conf('somebody'));
  await shell.write('freight/nokey', conf('DEADBEEFDEADBEEF'));
  try {
    const there = (text: string) => text.replaceAll('/srv/freight', place).replaceAll('/srv/other', `${folder.path}/other`);
    const recorded = (await fixture('session.txt')).split(/^\$ freight /m).slice(1);
    expect(recorded.length).toBe(9);
    for (const step of recorded) {
      const [command = '', exit = '', ...output] = there(step).trim().split('\n');
      const result = await shell.run([fakeFreight.path ?? '', ...command.split(' ')], { cwd: '/', env });
      const said = (stream: 'stdout' | 'stderr') =>
        output.filter((line) => line.startsWith(`${stream}: # [freight]`)).map((line) => line.slice(stream.length + 2));
      const lines = (text: string) => text.split('\n').filter((line) => line.startsWith('# [freight]'));
      expect({ command, exit: `exit ${result.exitCode}`, stdout: lines(result.stdout), stderr: lines(result.stderr) }).toEqual({
        command,
        exit,
        stdout: said('stdout'),
        stderr: said('stderr'),
      });
    }
  } finally {
    await shell.run(['gpgconf', '--kill', 'gpg-agent'], { env });
  }
});
