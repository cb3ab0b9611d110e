import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Artifact, parsePackageName, parsePackageVersion } from '@pipit/core';
import type { MemoryFileStore } from '../context/memory-file-store.js';
import { createTemporaryFolder } from '../context/temporary-folder.js';
import { createTestShell } from '../context/test-shell.js';

export interface TestDeb {
  readonly version: string;
  /** Default `web`. */
  readonly name?: string;
  /** Default `all`. */
  readonly architecture?: string;
  /** The text of `/opt/<name>/version`; another one makes other bytes. Default: the version. */
  readonly content?: string;
}

/** A real Debian package, made by `dpkg-deb`, with its bytes in the file store. */
export const buildTestDeb = async (
  files: MemoryFileStore,
  { version, name = 'web', architecture = 'all', content = version }: TestDeb,
): Promise<Artifact> => {
  const folder = await createTemporaryFolder();
  try {
    const shell = createTestShell(folder.path);
    const fields = {
      Package: name,
      Version: version,
      Architecture: architecture,
      Maintainer: 'pipit <pipit@example.org>',
      Description: 'test',
    };
    await shell.write(
      'root/DEBIAN/control',
      Object.entries(fields)
        .map(([field, value]) => `${field}: ${value}\n`)
        .join(''),
    );
    await shell.write(`root/opt/${name}/version`, `${content}\n`);
    const built = await shell.run(['dpkg-deb', '--root-owner-group', '--build', 'root', 'a.deb']);
    if (built.exitCode !== 0) throw new Error(built.stderr);
    const stored = files.putBytes(await readFile(join(folder.path, 'a.deb')));
    return {
      format: 'deb',
      name: parsePackageName(name),
      version: parsePackageVersion(version),
      architecture,
      digest: stored.sha256,
      content: stored,
    };
  } finally {
    await folder.remove();
  }
};
