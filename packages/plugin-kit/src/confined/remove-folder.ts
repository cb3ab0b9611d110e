import { rmdir } from 'node:fs/promises';
import { PluginError } from '@pipit/core';
import { minimalEnvironment } from '../command/minimal-environment.js';
import { runCommand } from '../command/run-command.js';
import { codeOf } from './walk-to.js';

const run = async (argv: readonly string[]): Promise<string | undefined> => {
  const { exitCode, stderr } = await runCommand(argv, { cwd: '/', env: minimalEnvironment('/') });
  return exitCode === 0 ? undefined : (stderr.trim().split('\n')[0] ?? `exit ${exitCode}`);
};

/**
 * Removes a folder in which code of a repository could write, and all in it. It follows no link, also not one that is put there meanwhile,
 * takes folders of any depth (Node's own `rm` does neither), and folders that are closed to their owner.
 *
 * @throws PluginError `FOLDER_NOT_REMOVED` (retry)
 */
export const removeFolder = async (path: string): Promise<void> => {
  try {
    // Most work folders are empty: no program is needed for them.
    return await rmdir(path);
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return;
  }
  // rm walks by open folders (openat), and so does chmod, which here gives the owner alone what he may give himself.
  const remove = ['rm', '--recursive', '--force', '--one-file-system', '--', path];
  if ((await run(remove)) === undefined) return;
  await run(['chmod', '--recursive', 'u+rwX', '--', path]);
  const problem = await run(remove);
  if (problem === undefined) return;
  throw new PluginError({
    code: 'FOLDER_NOT_REMOVED',
    message: `${path} could not be removed: ${problem}`,
    hint: 'Look whether another user owns files in it, a file system is mounted there, or the disk is read-only.',
    recovery: 'retry',
  });
};
