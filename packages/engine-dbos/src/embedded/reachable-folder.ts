import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PluginError } from '@pipit/core';
import { runAs } from './run-command.js';
import type { ServerUser } from './server-user.js';

const ancestors = (folder: string): readonly string[] => (dirname(folder) === folder ? [folder] : [...ancestors(dirname(folder)), folder]);

/**
 * Proves that the database's user can enter a folder, by letting it try: modes alone do not tell of ACLs.
 *
 * @throws PluginError `DATABASE_FOLDER_UNREACHABLE` (stop), naming the parent that is in the way
 */
export const requireReachable = async (folder: string, user: ServerUser | undefined): Promise<void> => {
  if (!user || (await runAs(user, ['test', '-x', folder])).exitCode === 0) return;
  for (const parent of ancestors(folder)) {
    if ((await runAs(user, ['test', '-x', parent])).exitCode === 0) continue;
    const mode = ((await stat(parent)).mode & 0o7777).toString(8).padStart(4, '0');
    throw new PluginError({
      code: 'DATABASE_FOLDER_UNREACHABLE',
      message: `The database's user (uid ${user.uid}) cannot enter ${parent} (mode ${mode}), which is on the way to ${folder}`,
      hint: `PostgreSQL does not run as root. Use a data folder that others may pass to, such as /var/lib/pipit, or: chmod o+x ${parent}`,
      recovery: 'stop',
    });
  }
};
