import { constants } from 'node:fs';
import { chmod, type FileHandle, mkdir, open } from 'node:fs/promises';
import { PluginError } from '@pipit/core';

/** A path below a folder, of which code of a repository may have written every part. */
export interface ConfinedPlace {
  /** An absolute path that only pipit can change; its last part must be a folder and no link. */
  readonly root: string;
  /** Relative to `root`, without `..`. */
  readonly path: string;
}

/** Names a file or folder without opening it, so that no pipe or device takes notice. Source: asm-generic/fcntl.h; Node has no name for it. */
export const O_PATH = 0o10000000;

const FOLDER = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Deeper than the folders of any build; each level is one system call. */
const MAX_DEPTH = 128;

/** A name in an open folder. The kernel continues from the folder itself, wherever its path leads by now. */
export const nameIn = (folder: FileHandle, name: string): string => `/proc/self/fd/${folder.fd}/${name}`;

/** What is open, itself: a way to open it again with other flags, and to change its mode. */
export const pathOf = (handle: FileHandle): string => `/proc/self/fd/${handle.fd}`;

export const codeOf = (thrown: unknown): unknown => (thrown instanceof Error && 'code' in thrown ? thrown.code : undefined);

/** The error of what pipit neither reads nor writes, because code of a repository may have put it there. */
export const refused = ({ root, path }: ConfinedPlace, what: string, cause?: unknown): PluginError =>
  new PluginError({
    code: 'CONFINED_PATH_REFUSED',
    message: `${JSON.stringify(path.slice(0, 300))} in ${root} ${what}`,
    hint: 'A link could lead to a file that the code of a repository may not read. Let its scripts leave plain files and folders (cp --dereference).',
    recovery: 'stop',
    cause,
  });

/** What the system says of a path that code of a repository made so, in pipit's words. */
export const mapped = (place: ConfinedPlace, thrown: unknown): unknown => {
  switch (codeOf(thrown)) {
    case 'EACCES':
      return refused(place, 'is closed to pipit', thrown);
    case 'ENAMETOOLONG':
      return refused(place, 'has too long a name', thrown);
    default:
      return thrown;
  }
};

/** The parts of a path below the root. */
export const partsOf = (place: ConfinedPlace): readonly string[] => {
  const parts = place.path.split('/').filter((part) => part !== '' && part !== '.');
  if (place.path.startsWith('/') || place.path.includes('\0') || parts.includes('..')) throw refused(place, 'does not lie in that folder');
  if (parts.length > MAX_DEPTH) throw refused(place, `lies more than ${MAX_DEPTH} folders deep`);
  return parts;
};

interface Step {
  readonly folder: FileHandle;
  readonly name: string;
  readonly place: ConfinedPlace;
  /** The mode of a folder that is missing and to be made, whatever the umask. */
  readonly make?: number;
}

const enter = async ({ folder, name, place, make }: Step): Promise<FileHandle | undefined> => {
  const path = nameIn(folder, name);
  try {
    return await open(path, FOLDER);
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === 'ENOTDIR' || code === 'ELOOP') throw refused(place, `leads through ${JSON.stringify(name)}, which is a link or no folder`);
    if (code !== 'ENOENT') throw mapped(place, thrown);
    if (make === undefined) return undefined;
  }
  await mkdir(path, { mode: make }).catch((thrown: unknown) => {
    if (codeOf(thrown) !== 'EEXIST') throw thrown;
  });
  const made = await enter({ folder, name, place });
  if (made !== undefined) await chmod(pathOf(made), make);
  return made;
};

/**
 * Opens the folder of a confined path, one part after the other from the root, and follows a link in none of them. What is open stays
 * what it was when code that still runs there puts a link in its place.
 *
 * @param options.make makes what is missing, with this mode
 * @returns undefined when a folder on the way is missing
 * @throws PluginError `CONFINED_PATH_REFUSED` (stop)
 */
export const openConfinedFolder = async (
  place: ConfinedPlace,
  options: { readonly make?: number } = {},
): Promise<FileHandle | undefined> => {
  const parts = partsOf(place);
  let folder: FileHandle;
  try {
    folder = await open(place.root, FOLDER);
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined;
    if (codeOf(thrown) === 'ENOTDIR' || codeOf(thrown) === 'ELOOP') throw refused(place, 'cannot be reached: that is a link or no folder');
    throw thrown;
  }
  for (const name of parts) {
    const next = await enter({ folder, name, place, ...options }).finally(() => folder.close());
    if (next === undefined) return undefined;
    folder = next;
  }
  return folder;
};

/** Splits a path into its folder and its name. */
export const splitPlace = (place: ConfinedPlace): { readonly folder: ConfinedPlace; readonly name: string } => {
  const parts = partsOf(place);
  const name = parts.at(-1);
  if (name === undefined) throw refused(place, 'is that folder itself');
  return { folder: { root: place.root, path: parts.slice(0, -1).join('/') }, name };
};
