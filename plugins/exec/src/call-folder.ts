import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { Shell } from '@pipit/core';
import { PluginError } from '@pipit/core';
import { minimalEnvironment, openConfinedFile, readOpenFile, removeFolder, runCommand } from '@pipit/plugin-kit';

async function* readFileIn(root: string, path: string): AsyncIterable<Uint8Array> {
  const file = await openConfinedFile({ root, path });
  if (file === undefined) throw new PluginError({ code: 'SHELL_FILE_NOT_FOUND', message: `There is no file ${path}`, recovery: 'stop' });
  // Whoever reads an answer counts.
  yield* readOpenFile(file, path, Number.POSITIVE_INFINITY);
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
  await mkdir(parent, { recursive: true, mode: 0o700 });
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
      read: (path) => readFileIn(folder, path),
    });
  } finally {
    await removeFolder(folder);
  }
};
