import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstallSource, RunResult } from '@pipit/core';
import { createTestShell } from '../context/test-shell.js';

/** A host that is a folder, with a package database of its own. It runs this machine's real `apt-get` and `dpkg`. */
export interface AptHost {
  readonly root: string;
  /** `apt-get` as a person would call it there. */
  aptGet(...args: readonly string[]): Promise<RunResult>;
  /** `apt-get update --error-on=any`: 100 when a suite is not signed as the source says. */
  update(): Promise<RunResult>;
  /** The versions that apt itself lists after an update. Throws what apt said when the update fails. */
  offeredVersions(name?: string): Promise<readonly string[]>;
  /** `installed 1.0`, or an empty text. */
  installedVersion(name?: string): Promise<string>;
}

const FOLDERS = [
  'var/lib/dpkg/info',
  'var/lib/dpkg/updates',
  'var/lib/apt/lists/partial',
  'var/cache/apt/archives/partial',
  'var/log/apt',
  'etc/apt/apt.conf.d',
  'etc/apt/sources.list.d',
  'etc/apt/preferences.d',
  'etc/apt/keyrings',
];

/** dpkg-query's own notation. */
const field = (name: string): string => `\${${name}}`;

/**
 * Makes an empty host in `root` that installs from one source, with its keys as `signed-by`.
 *
 * @param root a folder of the test, which removes it
 * @param sources what `installSources` answered; the one for Debian packages is used
 */
export const createAptHost = async (root: string, sources: readonly InstallSource[]): Promise<AptHost> => {
  const source = sources.find((candidate) => candidate.format === 'deb');
  if (source?.format !== 'deb') throw new Error('there is no source for Debian packages');
  for (const folder of FOLDERS) await mkdir(join(root, folder), { recursive: true });
  await writeFile(join(root, 'var/lib/dpkg/status'), '');
  await writeFile(join(root, 'etc/apt/keyrings/test.asc'), source.keys.join('\n'));
  const lines = source.uris.map(
    (uri) => `deb [signed-by=${root}/etc/apt/keyrings/test.asc] ${uri} ${source.suite} ${source.components.join(' ')}\n`,
  );
  await writeFile(join(root, 'etc/apt/sources.list.d/test.list'), lines.join(''));
  const configuration = join(root, 'test-apt.conf');
  await writeFile(configuration, `Dir "${root}/";\n`);
  const shell = createTestShell(root);
  const run = (program: 'apt-get' | 'apt-cache', args: readonly string[]): Promise<RunResult> => {
    const options = [
      `Dir=${root}`,
      `Dir::State::status=${root}/var/lib/dpkg/status`,
      'Dir::Bin::methods=/usr/lib/apt/methods',
      'Dir::Bin::dpkg=/usr/bin/dpkg',
      `DPkg::Options::=--root=${root}`,
      'DPkg::Options::=--force-not-root',
      'DPkg::Options::=--force-script-chrootless',
      'APT::Sandbox::User=root',
    ];
    return shell.run([program, ...options.flatMap((option) => ['-o', option]), ...args], {
      env: { DEBIAN_FRONTEND: 'noninteractive', APT_CONFIG: configuration },
    });
  };
  const update = () => run('apt-get', ['update', '--error-on=any']);
  return {
    root,
    aptGet: (...args) => run('apt-get', args),
    update,
    async offeredVersions(name = 'web') {
      const updated = await update();
      if (updated.exitCode !== 0) throw new Error(updated.stderr);
      const { stdout } = await run('apt-cache', ['madison', name]);
      return [...new Set(stdout.split('\n').flatMap((line) => line.split('|')[1]?.trim() ?? []))];
    },
    async installedVersion(name = 'web') {
      const format = `${field('db:Status-Status')} ${field('Version')}`;
      const { stdout } = await shell.run(['dpkg-query', `--admindir=${root}/var/lib/dpkg`, '-W', `-f=${format}`, name]);
      return stdout.trim();
    },
  };
};
