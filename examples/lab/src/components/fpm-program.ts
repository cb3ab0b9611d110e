import { chmod, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { labCacheFolder, withMachineLock } from './cache-folder.js';

/** The version whose behaviour was looked at. */
export const FPM_VERSION = '1.18.0';

export interface FpmProgram {
  readonly program: string;
  /** What `GEM_HOME` and `GEM_PATH` have to be: it is no install of the system's. */
  readonly gemFolder: string;
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/**
 * A real FPM, from the cache or brought here by `gem install`: 5 s once, no root needed. Needs `gem` (ruby). Two processes that ask at once
 * install it once.
 */
export const fpmProgram = async (): Promise<FpmProgram> => {
  const cache = await labCacheFolder();
  const gemFolder = join(cache, `fpm-${FPM_VERSION}`);
  const found = { program: join(gemFolder, 'bin', 'fpm'), gemFolder };
  if (await exists(found.program)) return found;
  await withMachineLock(join(cache, 'fpm.lock'), async () => {
    if (await exists(found.program)) return;
    const work = await mkdtemp(join(cache, 'fpm-install-'));
    try {
      await execa('gem', ['install', '--no-document', '--install-dir', work, '--version', FPM_VERSION, 'fpm']);
      // The sandbox's user runs it too.
      await chmod(work, 0o755);
      // Renamed as the last act: nobody ever sees half an install.
      await rename(work, gemFolder);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
  return found;
};
