import { realpath } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { isPluginError } from '@pipit/core';
import { openConfinedFile, readConfinedText } from '@pipit/runtime';

/** Larger files of a repository are no text that pipit reads. */
const MAX_TEXT_BYTES = 1024 * 1024;

/** A file of a working copy that somebody else may have written. `refused`: it is no plain file, or leads out of the working copy. */
export type Found<T> = { readonly state: 'missing' } | { readonly state: 'refused' } | { readonly state: 'found'; readonly content: T };

interface Place {
  readonly root: string;
  readonly path: string;
}

const look = async <T>(place: Place, read: (place: Place) => Promise<T | undefined>): Promise<Found<T>> => {
  try {
    const content = await read(place);
    return content === undefined ? { state: 'missing' } : { state: 'found', content };
  } catch (thrown) {
    if (isPluginError(thrown)) return { state: 'refused' };
    throw thrown;
  }
};

/** What pipit reads by git: a link there is the path that it leads to, and no file. */
export const readText = async (folder: string, path: string): Promise<Found<string>> =>
  look({ root: await realpath(folder), path }, (place) => readConfinedText(place, MAX_TEXT_BYTES));

export interface ScriptStart {
  readonly mode: number;
  readonly start: string;
}

/** The mode of a script, and how it begins. A link within the working copy is followed, as in a checked-out commit; no other is. */
export const readStart = async (folder: string, path: string, bytes: number): Promise<Found<ScriptStart>> => {
  const root = await realpath(folder);
  const real = await realpath(join(root, path)).catch(() => undefined);
  if (real === undefined) return { state: 'missing' };
  const inside = relative(root, real);
  if (inside === '..' || inside.startsWith('../')) return { state: 'refused' };
  return look({ root, path: inside }, async (place) => {
    const file = await openConfinedFile(place);
    try {
      if (file === undefined) return undefined;
      const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
      return { mode: (await file.stat()).mode, start: buffer.subarray(0, bytesRead).toString('latin1') };
    } finally {
      await file?.close();
    }
  });
};
