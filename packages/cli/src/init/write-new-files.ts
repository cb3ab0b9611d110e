import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PluginError } from '@pipit/core';

export interface NewFile {
  /** Absolute. */
  readonly path: string;
  readonly text: string;
  /** Default: 0644. */
  readonly mode?: number;
  /** In a few words. */
  readonly what: string;
}

export interface WrittenFile {
  readonly path: string;
  readonly what: string;
  readonly state: 'written' | 'exists';
}

const systemCode = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code; // Node's file calls throw nothing else

/** Writes files that are not there yet; one that exists is left as it is, whatever it holds. */
export const writeNewFiles = async (files: readonly NewFile[]): Promise<readonly WrittenFile[]> => {
  const written: WrittenFile[] = [];
  for (const { path, text, mode = 0o644, what } of files) {
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text, { flag: 'wx', mode });
      // The mode at the opening is cut by the umask.
      await chmod(path, mode);
      written.push({ path, what, state: 'written' });
    } catch (error) {
      if (systemCode(error) !== 'EEXIST')
        throw new PluginError({
          code: 'CLI_FILE_NOT_WRITABLE',
          message: `${path} cannot be written (${systemCode(error) ?? 'unknown error'})`,
          hint: 'Name a folder that you may write to.',
          recovery: 'stop',
          cause: error,
        });
      written.push({ path, what, state: 'exists' });
    }
  }
  return written;
};
