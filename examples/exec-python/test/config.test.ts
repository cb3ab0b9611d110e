import { copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createPluginLoader, formatProblems, loadConfig } from '@pipit/config';
import { createTemporaryFolder, type TemporaryFolder } from '@pipit/plugin-testing';
import { build } from 'tsup';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const fileOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Stands for all that the Python and the shell program are not. */
const OTHERS = `#!/bin/sh
cat <<'JSON'
{"ok": {"protocol": 1, "name": "others", "kinds": {
  "trigger": {"version": 1, "methods": ["poll"]},
  "packager": {"version": 1, "methods": ["package"], "formats": ["deb"]},
  "repository": {"version": 1, "methods": ["find", "publish", "installSources"], "formats": ["deb"]},
  "advertiser": {"version": 1, "methods": ["read", "write"]},
  "deployer": {"version": 1, "methods": ["find", "start", "inspect", "observe"], "formats": ["deb"]}},
  "config": {"type": "object", "properties": {"token": {"type": "string", "writeOnly": true}}, "additionalProperties": false}}}
JSON
`;

const configText = (others: string, ci = '{ use: my-ci, with: { shell: /bin/bash } }'): string => `
plugins:
  my-ci: { uses: exec:./my-ci }
  my-hosts: { uses: exec:./my-hosts }
  others: { uses: exec:./others, with: ${others} }
pipelines:
  web:
    repositories: ["acme/*"]
    trigger: others
    ci: ${ci}
    packager: others
    repository: others
    discovery: my-hosts
    advertiser: others
    deployer: others
`;

describe('a config whose plugins are all programs', () => {
  let folder: TemporaryFolder;

  beforeAll(async () => {
    folder = await createTemporaryFolder();
    const site = join(folder.path, 'site');
    await mkdir(site);
    await copyFile(fileOf('../my-ci'), join(site, 'my-ci'));
    await copyFile(fileOf('../../exec-shell/my-hosts'), join(site, 'my-hosts'));
    await writeFile(join(site, 'others'), OTHERS, { mode: 0o755 });
    // The workspace's sources as an installed package: what runs is what stands in src, not an older build.
    const installed = join(folder.path, 'installed/node_modules/@pipit/plugin-exec');
    await build({
      entry: { index: fileOf('../../../plugins/exec/src/index.ts') },
      outDir: installed,
      format: ['esm'],
      platform: 'node',
      target: 'node20',
      noExternal: [/^@pipit\//],
      esbuildOptions: (options) => {
        options.conditions = ['pipit-source'];
      },
      config: false,
      silent: true,
    });
    await writeFile(join(installed, 'package.json'), JSON.stringify({ type: 'module', exports: { '.': { default: './index.js' } } }));
    await symlink(fileOf('../../../plugins/exec/node_modules'), join(installed, 'node_modules'));
    await symlink(fileOf('../../../packages/plugin-kit/node_modules/execa'), join(folder.path, 'installed/node_modules/execa'));
  });
  afterAll(() => folder.remove());

  const load = (text: string) =>
    loadConfig({
      file: join(folder.path, 'site/pipit.config.yaml'),
      text,
      environment: { TOKEN: 't0ken' },
      readFile: (path) => readFile(path, 'utf8'),
      loadPlugin: createPluginLoader({ installationFolder: join(folder.path, 'installed') }),
      redact: () => undefined,
    });

  const problemsOf = async (text: string): Promise<string> => {
    const result = await load(text);
    return result.ok ? '' : formatProblems(result.problems);
  };

  it('loads, with the schemas that the programs describe', async () => {
    const result = await load(configText('{ token: { $env: TOKEN } }'));
    if (!result.ok) return expect.fail(formatProblems(result.problems));
    const { plugins, pipelines } = result.config;
    expect(Object.entries(plugins).map(([name, { plugin }]) => [name, plugin.name])).toEqual([
      ['my-ci', 'my-ci'],
      ['my-hosts', 'my-hosts'],
      ['others', 'others'],
    ]);
    expect(pipelines.web?.ci.options).toEqual({ shell: '/bin/bash' });
    expect(JSON.stringify(plugins.others?.config)).toBe('{"token":"[secret]"}');
  });

  it('tells at its place what a program does not take, and of a secret that is written out', async () => {
    expect(await problemsOf(configText('{ tokn: x }'))).toContain('tokn');
    expect(await problemsOf(configText('{ token: written }'))).toMatch(/token/);
    expect(await problemsOf(configText('{}', '{ use: my-ci, with: { shell: 3 } }'))).toMatch(/shell/);
  });

  it('tells of a program that is not there, and of one that is no such kind', async () => {
    expect(await problemsOf(configText('{}').replace('exec:./my-ci', 'exec:./gone'))).toContain('EXEC_PROGRAM_MISSING');
    expect(await problemsOf(configText('{}').replace('deployer: others', 'deployer: my-hosts'))).toMatch(
      /my-hosts.*deployer|deployer.*my-hosts/s,
    );
  });
});
