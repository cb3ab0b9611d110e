import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { type ConfinedPlace, codeOf, nameIn, openConfinedFolder, refused, splitPlace } from './walk-to.js';

export interface WriteConfinedOptions {
  /** Of the file, whatever the umask. Default 0600. */
  readonly mode?: number;
  /** Of folders that are missing, whatever the umask. Default 0700. */
  readonly folderMode?: number;
  readonly signal?: AbortSignal;
}

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

const writeAll = async (
  file: FileHandle,
  content: string | AsyncIterable<Uint8Array>,
  { mode = 0o600, signal }: WriteConfinedOptions,
): Promise<void> => {
  try {
    const chunks = typeof content === 'string' ? [Buffer.from(content)] : content;
    for await (const chunk of chunks) {
      signal?.throwIfAborted();
      for (let written = 0; written < chunk.byteLength; ) written += (await file.write(chunk, written)).bytesWritten;
    }
    await file.chmod(mode);
  } finally {
    await file.close();
  }
};

/**
 * Writes a file in a folder where code of a repository could write; missing folders are made. A link in a part of the path is refused; one in
 * the file's own place is replaced and not followed. The file is there whole or not at all.
 *
 * @throws PluginError `CONFINED_PATH_REFUSED` (stop)
 */
export const writeConfined = async (
  place: ConfinedPlace,
  content: string | AsyncIterable<Uint8Array>,
  options: WriteConfinedOptions = {},
): Promise<void> => {
  const { folder: parent, name } = splitPlace(place);
  const folder = await openConfinedFolder(parent, { make: options.folderMode ?? 0o700 });
  if (folder === undefined) throw refused(place, 'cannot be written: the folder was removed');
  const fresh = nameIn(folder, `.pipit-${randomUUID()}`);
  try {
    await writeAll(await open(fresh, CREATE, 0o600), content, options);
    await rename(fresh, nameIn(folder, name));
  } catch (thrown) {
    await unlink(fresh).catch(() => undefined);
    if (codeOf(thrown) === 'EISDIR' || codeOf(thrown) === 'ENOTEMPTY') throw refused(place, 'is a folder, and no file can take its place');
    throw thrown;
  } finally {
    await folder.close();
  }
};
