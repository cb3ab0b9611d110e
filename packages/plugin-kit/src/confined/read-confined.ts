import type { FileHandle } from 'node:fs/promises';
import { PluginError } from '@pipit/core';
import { openConfinedFile } from './open-confined-file.js';
import type { ConfinedPlace } from './walk-to.js';

const READ_BYTES = 256 * 1024;

const tooLarge = (what: string, maxBytes: number): PluginError =>
  new PluginError({
    code: 'CONFINED_FILE_TOO_LARGE',
    message: `${what} has more than ${maxBytes} bytes, the most that is read of it`,
    hint: 'Look whether it holds more than it should: a file with holes counts with its whole length.',
    recovery: 'stop',
  });

/**
 * Reads an open file to its end, closes it, and counts: a file can grow while it is read.
 *
 * @throws PluginError `CONFINED_FILE_TOO_LARGE` (stop)
 */
export async function* readOpenFile(file: FileHandle, what: string, maxBytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    if ((await file.stat()).size > maxBytes) throw tooLarge(what, maxBytes);
    for (let size = 0; ; ) {
      // A buffer of its own each time: the reader may keep the one before.
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, size);
      if (bytesRead === 0) return;
      size += bytesRead;
      if (size > maxBytes) throw tooLarge(what, maxBytes);
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/**
 * The text of a small plain file in a folder where code of a repository could write.
 *
 * @returns undefined when there is no such file
 * @throws PluginError `CONFINED_PATH_REFUSED`, `CONFINED_FILE_TOO_LARGE` (stop)
 */
export const readConfinedText = async (place: ConfinedPlace, maxBytes: number): Promise<string | undefined> => {
  const file = await openConfinedFile(place);
  if (file === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of readOpenFile(file, place.path, maxBytes)) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
};
