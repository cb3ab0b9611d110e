import { type AppName, type Op, type PackageMetadata, type PackageRequest, packageVersion, type UnitName } from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';
import type { TestFiles, TestSource } from '@pipit/plugin-testing';
import { fpmProgram } from 'pipit-lab';
import { config, type FpmConfig, type FpmOptions, options } from '../src/config.js';
import { createFpmPackager } from '../src/fpm-packager.js';

export const script = (text: string, interpreter = '/bin/sh') => ({ text: `#!${interpreter}\n${text}\n`, mode: 0o755 });

export const files: TestFiles = {
  'script/post-inst': script(`name=web.conf\necho "installed \${name%%.*}"`),
  'bin/web': script('echo web'),
  'etc/web.conf': 'port=1\n',
  link: { link: 'bin/web' },
  '.gitignore': 'node_modules\n',
  '.env.sample': 'A=1\n',
  'systemd/web.service': '[Service]\nExecStart=/opt/web/bin/web\n',
};

export const metadata: PackageMetadata = {
  description: 'A small web service: 100% sure\nIt says hello.\n\nTo everybody.',
  depends: ['libc6 (>= 2.30)', 'curl'],
  architectures: ['all'],
  prefix: '/opt/web',
  configFiles: ['/opt/web/etc/web.conf'],
  services: ['web' as UnitName], // a constant that the parser accepts
};

export const noOptions: FpmOptions = options.parse({});

export const requestFor = (source: TestSource, overrides: Partial<PackageRequest<FpmOptions>> = {}): PackageRequest<FpmOptions> => ({
  app: 'web' as AppName, // a constant that the parser accepts
  version: packageVersion(source.commit, '1.2.0-rc1'),
  metadata,
  outputs: [],
  options: noOptions,
  ...overrides,
});

/** On the real FPM. */
export const createPackager = async (overrides: Partial<FpmConfig> = {}) =>
  createFpmPackager({
    ...config.parse({ formats: ['deb', 'rpm'], maintainer: 'Ada <ada@example.org>' }),
    ...(await fpmProgram()),
    ...overrides,
  });

export const run = async (argv: readonly string[]): Promise<string> => {
  const result = await runCommand(argv, { cwd: '/', env: minimalEnvironment('/') });
  if (result.exitCode !== 0) throw new Error(`${argv.join(' ')}: ${result.stderr}`);
  return result.stdout;
};

/** Every command of a shell runs behind these words. */
export const prefixed = <S extends Op<'shell'>['shell']>(shell: S, prefix: readonly string[]): S => ({
  ...shell,
  run: (argv, runOptions) => shell.run([...prefix, ...argv], runOptions),
});
