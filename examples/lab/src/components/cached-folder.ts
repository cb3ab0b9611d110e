import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { withMachineLock } from './cache-folder.js';

/**
 * Gives a folder that is filled once and then kept, for any number of processes at the same time: one fills, the others wait. A filling
 * that fails or is killed leaves nothing behind that counts.
 *
 * @param folder the finished folder's path; its parent is made
 * @param fill fills the (empty) folder that it is given
 */
export const cachedFolder = async (folder: string, fill: (empty: string) => Promise<void>): Promise<string> => {
  if (existsSync(folder)) return folder;
  await mkdir(dirname(folder), { recursive: true });
  return withMachineLock(`${folder}.lock`, async () => {
    if (existsSync(folder)) return folder;
    const filling = `${folder}.filling`;
    // Left by one that was killed: the lock says that nobody is at it.
    await rm(filling, { recursive: true, force: true });
    await mkdir(filling);
    try {
      await fill(filling);
      await rename(filling, folder);
    } finally {
      await rm(filling, { recursive: true, force: true });
    }
    return folder;
  });
};
