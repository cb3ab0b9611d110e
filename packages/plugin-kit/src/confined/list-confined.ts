import { type FileHandle, opendir } from 'node:fs/promises';
import { openNameIn } from './open-confined-file.js';
import { type ConfinedPlace, mapped, openConfinedFolder, pathOf, refused } from './walk-to.js';

export interface ConfinedEntry {
  /** Relative to the root. */
  readonly path: string;
  readonly kind: 'file' | 'folder';
  /** Opens a file where it was found, whatever stands at its path by now. */
  open(): Promise<FileHandle>;
}

/** Source: a build that leaves folders deeper than this makes paths that most tools refuse (PATH_MAX is 4096). */
const MAX_DEPTH = 64;

/** Names that are kept in memory to be sorted; more than any build leaves in one folder. */
const MAX_NAMES = 100_000;

interface Name {
  readonly name: string;
  readonly isFolder: boolean;
}

const namesIn = async (folder: FileHandle, place: ConfinedPlace): Promise<readonly Name[]> => {
  const names: Name[] = [];
  const entries = await opendir(pathOf(folder)).catch((thrown: unknown) => Promise.reject(mapped(place, thrown)));
  for await (const entry of entries) {
    if (names.length === MAX_NAMES) throw refused(place, `has more than ${MAX_NAMES} files`);
    names.push({ name: entry.name, isFolder: entry.isDirectory() });
  }
  return names.sort((one, other) => (one.name < other.name ? -1 : 1));
};

/**
 * Everything in a folder where code of a repository could write, sorted, folders before what is in them. It enters no link.
 *
 * @throws PluginError `CONFINED_PATH_REFUSED` (stop) for links, devices, pipes and sockets (when they are opened), and names with control characters
 */
export async function* listConfined(place: ConfinedPlace, depth = 0): AsyncGenerator<ConfinedEntry, void, undefined> {
  const folder = await openConfinedFolder(place);
  if (folder === undefined) return;
  try {
    if (depth > MAX_DEPTH) throw refused(place, `lies more than ${MAX_DEPTH} folders deep`);
    for (const { name, isFolder } of await namesIn(folder, place)) {
      const path = place.path === '' ? name : `${place.path}/${name}`;
      const here = { root: place.root, path };
      if (/\p{Cc}/u.test(name)) throw refused(here, 'has a control character in its name');
      const open = async (): Promise<FileHandle> => {
        const file = await openNameIn(folder, name, here);
        if (file === undefined) throw refused(here, 'was removed while it was read');
        return file;
      };
      yield { path, kind: isFolder ? 'folder' : 'file', open };
      if (isFolder) yield* listConfined(here, depth + 1);
    }
  } finally {
    await folder.close();
  }
}
