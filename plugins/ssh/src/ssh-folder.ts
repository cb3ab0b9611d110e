import { createHash } from 'node:crypto';
import { lstat, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PluginError } from '@pipit/core';

/**
 * The longest folder whose control sockets fit: a socket's path has at most 107 bytes (unix(7)), `%C` has 40, and while OpenSSH binds it
 * the name has 17 more.
 */
const MAX_SOCKET_FOLDER_BYTES = 107 - 1 - 40 - 17;

/** The folder of the control sockets: the instance's own where its path is short enough, else one of this user's in the system's folder for temporary files. */
export const socketFolderOf = (instanceFolder: string, temporaryFolder: string): string => {
  const own = join(instanceFolder, 's');
  if (Buffer.byteLength(own) <= MAX_SOCKET_FOLDER_BYTES) return own;
  return join(temporaryFolder, `pipit-${createHash('sha256').update(instanceFolder).digest('hex').slice(0, 16)}`);
};

/**
 * Makes a folder that only this user can enter, or takes the one that stands there if it is so.
 *
 * @throws PluginError `SSH_FOLDER_UNSAFE` (stop) when something else stands there
 */
export const ensurePrivateFolder = async (folder: string, uid: number | undefined): Promise<void> => {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Anybody may have put a link or a folder there first, where the folder above is everybody's.
  const found = await lstat(folder);
  if (found.isDirectory() && (found.mode & 0o077) === 0 && (uid === undefined || found.uid === uid)) return;
  throw new PluginError({
    code: 'SSH_FOLDER_UNSAFE',
    message: `${folder}, where the sockets of open connections stand, is not a folder that only this user can enter`,
    hint: 'Look who made it, then remove it; pipit makes it anew.',
    recovery: 'stop',
  });
};

/** Writes a file that only this user can read. */
export const writePrivateFile = (path: string, content: string): Promise<void> => writeFile(path, content, { mode: 0o600 });
