import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Shell } from '@pipit/core';
import { PluginError } from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';

async function* readFileAt(path: string): AsyncIterable<Uint8Array> {
  try {
    yield* createReadStream(path);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) throw cause;
    throw new PluginError({ code: 'SHELL_FILE_NOT_FOUND', message: `There is no file ${path}`, recovery: 'stop', cause });
  }
}

/**
 * Gives work an empty folder of this machine to run commands in, and removes it on every path. For the kinds that get no shell from pipit.
 *
 * @param parent the instance's own folder
 */
export const inCallFolder = async <T>(
  parent: string,
  signal: AbortSignal | undefined,
  work: (shell: Pick<Shell, 'folder' | 'run' | 'read'>) => Promise<T>,
): Promise<T> => {
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(join(parent, 'call-'));
  try {
    return await work({
      folder,
      run: (argv, options = {}) =>
        runCommand(argv, {
          cwd: folder,
          env: { ...minimalEnvironment(folder), ...options.env },
          ...(signal === undefined ? {} : { signal }),
          ...(options.input === undefined ? {} : { input: options.input }),
          ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
          ...(options.onOutput === undefined ? {} : { onOutput: options.onOutput }),
        }),
      read: (path) => readFileAt(resolve(folder, path)),
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};
