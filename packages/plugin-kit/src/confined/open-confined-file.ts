import { constants, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type ConfinedPlace, codeOf, mapped, nameIn, O_PATH, openConfinedFolder, pathOf, refused, splitPlace } from './walk-to.js';

const kindOf = (stat: Stats): string => {
  if (stat.isSymbolicLink()) return 'is a link';
  if (stat.isDirectory()) return 'is a folder';
  return 'is a device, pipe or socket';
};

/**
 * A hard link could give a name to a file that code of a repository cannot read itself, where the kernel allows that
 * (`fs.protected_hardlinks=0`). A second name of a file that belongs to whoever owns the folder is harmless: compilers make those.
 */
const isForeignHardLink = (file: Stats, folder: Stats): boolean => file.nlink > 1 && file.uid !== folder.uid;

/**
 * Opens a name of an open folder for reading, if it is a plain file. It is looked at before it is opened, and what was looked at is what is
 * opened: neither a link, a pipe nor a device put there in between is followed or touched.
 *
 * @returns undefined when there is nothing of this name
 * @throws PluginError `CONFINED_PATH_REFUSED` (stop)
 */
export const openNameIn = async (folder: FileHandle, name: string, place: ConfinedPlace): Promise<FileHandle | undefined> => {
  let found: FileHandle;
  try {
    found = await open(nameIn(folder, name), O_PATH | constants.O_NOFOLLOW);
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined;
    throw mapped(place, thrown);
  }
  try {
    const stat = await found.stat();
    if (!stat.isFile()) throw refused(place, `${kindOf(stat)}, and not a plain file`);
    if (isForeignHardLink(stat, await folder.stat())) throw refused(place, 'is a hard link of a file of somebody else');
    return await open(pathOf(found), constants.O_RDONLY);
  } catch (thrown) {
    throw mapped(place, thrown);
  } finally {
    await found.close();
  }
};

/**
 * Opens a plain file in a folder where code of a repository could write. It follows no link in any part of the path, never waits for a pipe
 * and opens no device: each could lead to what pipit may read and that code may not.
 *
 * @returns undefined when there is no such file
 * @throws PluginError `CONFINED_PATH_REFUSED` (stop)
 */
export const openConfinedFile = async (place: ConfinedPlace): Promise<FileHandle | undefined> => {
  const { folder: parent, name } = splitPlace(place);
  const folder = await openConfinedFolder(parent);
  if (folder === undefined) return undefined;
  try {
    return await openNameIn(folder, name, place);
  } finally {
    await folder.close();
  }
};
