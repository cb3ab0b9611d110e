import { type AppName, type PackageMetadata, type PackageRequest, packageVersion, type UnitName } from '@pipit/core';
import type { TestFiles, TestSource } from '@pipit/plugin-testing';
import { createLocalPackager } from '../src/local-packager.js';

export type Options = Readonly<Record<string, never>>;

export const script = (text: string) => ({ text: `#!/bin/sh\n${text}\n`, mode: 0o755 });
export const files: TestFiles = {
  'script/post-inst': script('echo installed'),
  'bin/web': script('echo web'),
  'etc/web.conf': 'port=1\n',
  link: { link: 'bin/web' },
  '.gitignore': 'node_modules\n',
  '.env.sample': 'A=1\n',
  'systemd/web.service': '[Service]\nExecStart=/opt/web/bin/web\n',
};
export const metadata: PackageMetadata = {
  description: 'A small web service\nIt says hello.\n\nTo everybody.',
  depends: ['libc6 (>= 2.30)'],
  architectures: ['all'],
  prefix: '/opt/web',
  configFiles: ['/opt/web/etc/web.conf'],
  services: ['web' as UnitName], // a constant that the parser accepts
};

export const requestFor = (source: TestSource, overrides: Partial<PackageRequest<Options>> = {}): PackageRequest<Options> => ({
  app: 'web' as AppName, // a constant that the parser accepts
  version: packageVersion(source.commit, '1.2.0'),
  metadata,
  outputs: [],
  options: {},
  ...overrides,
});

export const createPackager = () => createLocalPackager<Options>({ maintainer: 'Ada <ada@example.org>' });
