import { open, rename, rm, symlink } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes what was renamed or linked in a folder outlive a power cut. */
export const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** Replaces a file in one step, on disk before this returns. The caller holds a lock: two writers of one path would share the temporary name. */
export const writeWhole = async (path: string, content: string | Uint8Array, mode = 0o600): Promise<void> => {
  const temporary = `${path}.new`;
  const handle = await open(temporary, 'w', mode);
  try {
    await handle.writeFile(content);
    await handle.chmod(mode);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
};

/** Points a link elsewhere in one step: a reader sees the old folder or the new one. The caller holds a lock. */
export const switchLink = async (path: string, target: string): Promise<void> => {
  const temporary = `${path}.new`;
  await rm(temporary, { force: true });
  await symlink(target, temporary);
  await rename(temporary, path);
  await syncFolder(dirname(path));
};
