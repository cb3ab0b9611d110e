import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageVersion } from '@pipit/core';
import { createTemporaryFolder, createTestOp, createTestShell, createTestSource, testPackager, testPlugin } from '@pipit/plugin-testing';
import { expect, it, vi } from 'vitest';
import { config, type FpmOptions, options } from '../src/config.js';
import { plugin } from '../src/index.js';
import { createPackager, files, requestFor } from './package-requests.js';

// Each check makes a deb and an rpm at least once with the real program.
vi.setConfig({ testTimeout: 180_000 });

testPlugin('plugin-fpm', {
  plugin,
  goodConfig: { formats: ['deb', 'rpm'], maintainer: 'Ada <ada@example.org>', homepage: 'https://example.org/web' },
  badConfigs: {
    'an unknown key': { formast: ['deb'] },
    'an unknown format': { formats: ['apk'] },
    'no format': { formats: [] },
    'a maintainer with a line break': { maintainer: 'Ada <ada@example.org>\nEssential: yes' },
    'a program that is an option': { program: '--version' },
    'a relative gem folder': { gemFolder: 'gems' },
    'a homepage that is no page': { homepage: 'javascript:alert(1)' },
  },
});

testPackager<FpmOptions>('plugin-fpm', {
  open: async () => {
    const folder = await createTemporaryFolder();
    const good = await createTestSource({ files });
    const bad = await createTestSource({ files: { 'bin/web': 'x' } });
    let count = 0;
    return {
      reopen: () => createPackager(),
      good: requestFor(good),
      bad: requestFor(bad, { version: packageVersion(bad.commit, '6.6.6') }),
      createOp: async ({ request, files: store, ...given }) => {
        count += 1;
        const shellFolder = join(folder.path, `${count}`);
        await mkdir(shellFolder);
        const source = request.version.startsWith('6.6.6') ? bad : good;
        return createTestOp({ ...given, shell: createTestShell(shellFolder), source, files: store, timeoutMs: 170_000 });
      },
      close: async () => {
        await Promise.all([folder.remove(), good.remove(), bad.remove()]);
      },
    };
  },
});

it('has a README whose tables list what the schema takes', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const tables = [...readme.matchAll(/^\| field \|[\s\S]*?\n\n/gm)].map(([table]) => table).join('');
  expect([...tables.matchAll(/^\| `(\w+)` /gm)].map(([, field]) => field)).toEqual([
    ...Object.keys(config.shape),
    ...Object.keys(options.shape),
  ]);
});
