import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTemporaryFolder, createTestCall, createTestSetup } from '@pipit/plugin-testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { config } from '../src/config.js';
import { plugin } from '../src/index.js';

const good = {
  secret: 'a secret of the webhook',
  repositories: { 'acme/web': { path: '/srv/git/web.git' } },
  inventory: '/srv/pipit/inventory.yaml',
};

describe('the config of plugin-local', () => {
  it('fills in the defaults', () => {
    expect(config.parse(good)).toMatchObject({
      repositories: { 'acme/web': { branches: ['main'] } },
      build: { timeLimit: 30 * 60_000, maxOutput: 10 * 1024 * 1024 },
      maintainer: 'pipit <pipit@localhost>',
      keepVersions: 50,
      parallel: 8,
    });
  });

  it.each([
    ['45s', 45_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
  ])('reads the time limit %s', (timeLimit, ms) => {
    expect(config.parse({ ...good, build: { timeLimit } }).build.timeLimit).toBe(ms);
  });

  it('describes every field', () => {
    const described = (shape: Readonly<Record<string, { readonly description?: string | undefined }>>) =>
      Object.entries(shape).filter(([, field]) => field.description === undefined);
    expect(described(config.shape)).toEqual([]);
  });
});

describe('plugin-local', () => {
  it('says in its health what is looked at, each once, and what to do', async () => {
    const folder = await createTemporaryFolder();
    onTestFinished(() => folder.remove());
    const inventory = join(folder.path, 'inventory.yaml');
    await writeFile(inventory, 'hosts: {}\n');
    const own = join(folder.path, 'own');
    await mkdir(own);
    const instance = await plugin.setup(config.parse({ ...good, inventory }), createTestSetup({ folder: own }));
    onTestFinished(async () => instance.dispose?.());
    const findings = (await instance.checkHealth?.(createTestCall())) ?? [];
    const names = findings.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(expect.arrayContaining(['git', 'sandbox', 'repository acme/web', 'dpkg-deb', 'apt-ftparchive']));
    expect(findings.find(({ name }) => name === 'repository acme/web')).toMatchObject({
      ok: false,
      hint: expect.stringContaining('git init --bare'),
    });
  });
});
