import { createHash } from 'node:crypto';
import {
  type Artifact,
  type PackageRequest,
  type Packager,
  PluginError,
  parseDigest,
  parsePackageName,
  parsePackageVersion,
} from '@pipit/core';
import { createTemporaryFolder, createTestOp, createTestShell, createTestSource, type PackagerHarness } from '../../src/index.js';
import { APP } from './requests.js';

interface Options {
  readonly broken?: boolean;
}

export type PackagerFault =
  | 'gives another version'
  | 'makes two of a kind'
  | 'leaves no bytes'
  | 'stamps the time'
  | 'throws any error'
  | 'goes on although it is aborted';

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

let stamp = 0;

const createMemoryPackager = (fault: PackagerFault | undefined): Packager<Options> => ({
  formats: ['deb'],
  package: async ({ version, options }, op) => {
    if (fault !== 'goes on although it is aborted') op.signal.throwIfAborted();
    if (options.broken === true) {
      if (fault === 'throws any error') throw new Error('No post-install script');
      throw new PluginError({ code: 'MEMORY_SCRIPT_MISSING', message: 'The commit has no script/post-inst', recovery: 'stop' });
    }
    stamp += 1;
    const text = `${await op.source.readText('README.md')}${fault === 'stamps the time' ? stamp : ''}`;
    const content =
      fault === 'leaves no bytes'
        ? { sha256: parseDigest(`sha256:${createHash('sha256').update(text).digest('hex')}`), size: text.length }
        : await op.files.put(once(text));
    const artifact: Artifact = {
      format: 'deb',
      name: parsePackageName('web'),
      version: fault === 'gives another version' ? parsePackageVersion('9') : version,
      architecture: 'all',
      digest: content.sha256,
      content,
    };
    return fault === 'makes two of a kind' ? [artifact, artifact] : [artifact];
  },
});

/** A packager whose package is the commit's README. */
export const memoryPackagerHarness = (fault?: PackagerFault): PackagerHarness<Options> => ({
  open: async () => {
    const source = await createTestSource({ files: { 'README.md': 'web' } });
    const folder = await createTemporaryFolder();
    const request = (options: Options): PackageRequest<Options> => ({
      app: APP,
      version: parsePackageVersion('1'),
      metadata: { description: 'web', depends: [], architectures: ['all'], prefix: '/opt/web', configFiles: [], services: [] },
      outputs: [],
      options,
    });
    return {
      good: request({}),
      bad: request({ broken: true }),
      reopen: async () => createMemoryPackager(fault),
      createOp: async ({ files, signal }) =>
        createTestOp({ shell: createTestShell(folder.path), source, files, ...(signal === undefined ? {} : { signal }) }),
      close: async () => {
        await source.remove();
        await folder.remove();
      },
    };
  },
});
