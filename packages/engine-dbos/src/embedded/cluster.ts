import { chown, mkdtemp, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Logger, PluginError } from '@pipit/core';
import { runAs } from './run-command.js';
import type { ServerBinaries } from './server-binaries.js';
import type { ServerUser } from './server-user.js';

/** The database, and the role that pipit works as: neither superuser nor owner of anything. */
export const DATABASE_NAME = 'pipit';
/** The cluster's superuser, who owns the tables: for migrations, and nothing else. */
export const DATABASE_OWNER = 'pipit_owner';

/**
 * Makes the cluster's files once, or checks that those there are of our major version. It is made beside and renamed when it is whole,
 * so that a killed initdb is begun anew.
 *
 * @throws PluginError `DATABASE_VERSION_MISMATCH`, (stop), `DATABASE_INIT_FAILED`, `DATABASE_START_FAILED` (retry)
 */
export const prepareCluster = async (options: {
  readonly cluster: string;
  readonly binaries: ServerBinaries;
  readonly user: ServerUser | undefined;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}): Promise<void> => {
  const { cluster, binaries, user } = options;
  const parent = dirname(cluster);
  const prefix = `${basename(cluster)}.new-`;
  // Retried, because an initdb that outlived its parent may still be writing there; it then fails by itself.
  for (const name of await readdir(parent))
    if (name.startsWith(prefix)) await rm(join(parent, name), { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });

  const found = await readFile(join(cluster, 'PG_VERSION'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found !== undefined) {
    if (Number(found) === binaries.major) return;
    throw new PluginError({
      code: 'DATABASE_VERSION_MISMATCH',
      message: `The database in ${cluster} was made by PostgreSQL ${found.trim()}; this pipit brings ${binaries.version}`,
      hint: 'Run the release of pipit that made it, take a backup with it (pipit backup), and restore that with this one.',
      recovery: 'stop',
    });
  }

  // A cluster is renamed to its place when it is whole, so this one has lost something since: never to be made again over what is left.
  if ((await readdir(cluster).catch(() => [])).length > 0)
    throw new PluginError({
      code: 'DATABASE_START_FAILED',
      message: `The database in ${cluster} is not whole: its file PG_VERSION is missing`,
      hint: 'Bring the file back, or restore the data folder from a backup. Nothing was changed.',
      recovery: 'retry',
    });

  options.logger.info({ folder: cluster, version: binaries.version }, 'Making the database');
  const fresh = await mkdtemp(join(parent, prefix));
  try {
    if (user) await chown(fresh, user.uid, user.gid);
    const end = await runAs(
      user,
      [
        binaries.initdb,
        '--pgdata',
        fresh,
        '--username',
        DATABASE_OWNER,
        // Only for who starts it by hand: pipit gives it files of its own.
        '--auth-local',
        'peer',
        '--auth-host',
        'reject',
        '--data-checksums',
        '--encoding',
        'UTF8',
        // The same order of texts on every machine, whatever its C library.
        '--locale-provider',
        'builtin',
        '--builtin-locale',
        'C.UTF-8',
        '--locale',
        'C',
        '--no-instructions',
      ],
      options.signal ? { signal: options.signal } : {},
    );
    if (end.exitCode !== 0)
      throw new PluginError({
        code: 'DATABASE_INIT_FAILED',
        message: `initdb could not make the database in ${cluster}: ${end.output.slice(-1_000)}`,
        hint: 'Look at what it says: most often the disk is full, or the uid has no entry in /etc/passwd.',
        recovery: 'retry',
      });
    await rename(fresh, cluster);
    const handle = await open(parent, 'r');
    await handle.sync().finally(() => handle.close());
  } finally {
    await rm(fresh, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
};
