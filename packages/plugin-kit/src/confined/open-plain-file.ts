import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { codeOf, O_PATH, pathOf, refused } from './walk-to.js';

/**
 * Opens a plain file at a path that a person or pipit chose, links followed: never a pipe, a device or a folder.
 *
 * @returns undefined when there is no such file
 * @throws PluginError `CONFINED_PATH_REFUSED` (stop)
 */
export const openPlainFile = async (path: string): Promise<FileHandle | undefined> => {
  let found: FileHandle;
  try {
    found = await open(path, O_PATH);
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT' || codeOf(thrown) === 'ENOTDIR') return undefined;
    throw thrown;
  }
  try {
    if (!(await found.stat()).isFile()) throw refused({ root: '/', path }, 'is no plain file');
    return await open(pathOf(found), constants.O_RDONLY);
  } finally {
    await found.close();
  }
};
