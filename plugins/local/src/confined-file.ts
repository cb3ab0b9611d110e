import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/**
 * Opens a file in a folder where code of a repository could write. It never follows a link and never waits for a pipe:
 * a link could lead to pipit's own files, which pipit may read and that code may not.
 *
 * @returns undefined when there is no plain file of this name
 */
export const openConfinedFile = async (path: string): Promise<FileHandle | undefined> => {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR' || code === 'ENXIO') return undefined;
    throw thrown;
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  return undefined;
};
