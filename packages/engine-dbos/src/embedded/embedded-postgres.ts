import { chown, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Logger } from '@pipit/core';
import { writeAccessFiles } from './access-files.js';
import { adoptPostgres } from './adopt.js';
import { DATABASE_NAME, DATABASE_OWNER, prepareCluster } from './cluster.js';
import { createClusterLock } from './cluster-lock.js';
import { type LaunchOptions, launchPostgres, readServerLog, type Served } from './launch.js';
import { requireReachable } from './reachable-folder.js';
import { prepareRoles } from './roles.js';
import { findServerBinaries } from './server-binaries.js';
import { type ServerUser, serverUser } from './server-user.js';
import { prepareSocketFolder, removeSocketFolder } from './socket-folder.js';
import { type DatabaseTrouble, supervisePostgres } from './supervise-postgres.js';

export interface EmbeddedPostgresOptions {
  /** A folder that `prepareDataFolder` made and `lockDataFolder` holds. */
  readonly dataFolder: string;
  /** Who the database's processes are. Default: ourselves; as root, the owner of the cluster or the system user `pipit-postgres`. */
  readonly user?: ServerUser;
  readonly logger: Logger;
  /** Ends the start; afterwards there is `stop`. */
  readonly signal?: AbortSignal;
  /** Where programs are copied to that the database's user could not reach. Default `/var/cache/pipit` for root, else inside the data folder. */
  readonly sharedFolder?: string;
  /** How long to wait for another PostgreSQL on the cluster to be gone, in milliseconds. Default 15,000. */
  readonly lockPatienceMs?: number;
  /** From 0 to 1, for the waits between attempts to start it again. Default: the longest wait. */
  readonly random?: () => number;
}

export interface EmbeddedPostgres {
  readonly socketFolder: string;
  readonly connection: { readonly host: string; readonly user: string; readonly database: string };
  /** The same as a URL, for libraries that want one. */
  readonly url: string;
  /** The same database as its owner, for migrations. */
  readonly ownerUrl: string;
  /** The postmaster's; another one after a restart. */
  readonly pid: number;
  /** Whether it was running already, left by a killed process. */
  readonly adopted: boolean;
  /** Told after the database died and runs again. */
  onRestart(callback: (pid: number) => void): void;
  /** Told after it ended by itself, and after each attempt to start it that failed. It is tried until `stop`. */
  onTrouble(callback: (trouble: DatabaseTrouble) => void): void;
  /** A fast shutdown, forced after `withinMs` (default 20 s). */
  stop(options?: { readonly withinMs?: number }): Promise<void>;
}

/** A PostgreSQL that was stopped or killed just now may take so long to be gone. */
const LOCK_PATIENCE_MS = 15_000;
const STOP_WITHIN_MS = 20_000;

/**
 * Runs PostgreSQL from its npm binaries as a supervised process on a Unix socket, to which only our own user and root may connect.
 * Made on the first start; adopted when a killed pipit left it running; started again when it dies.
 *
 * @throws PluginError `DATABASE_BINARIES_UNUSABLE`, `DATABASE_FOLDER_UNREACHABLE`, `DATABASE_INIT_FAILED`, `DATABASE_IN_USE`,
 * `DATABASE_START_FAILED`, `DATABASE_USER_NAMELESS`, `DATABASE_USER_NOT_MADE`, `DATABASE_VERSION_MISMATCH` (`DATABASE_START_FAILED` and
 * `DATABASE_INIT_FAILED` retry, the others stop)
 */
export const startEmbeddedPostgres = async (options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> => {
  const { logger, signal, lockPatienceMs = LOCK_PATIENCE_MS } = options;
  const postgresFolder = join(resolve(options.dataFolder), 'postgres');
  const cluster = join(postgresFolder, 'data');
  await mkdir(postgresFolder, { recursive: true, mode: 0o700 });
  const user = options.user ?? (await serverUser(cluster));
  if (user && process.getuid?.() === 0) await chown(postgresFolder, user.uid, user.gid);
  await requireReachable(postgresFolder, user);
  const sharedFolder = options.sharedFolder ?? (process.getuid?.() === 0 ? '/var/cache/pipit' : join(postgresFolder, 'programs'));
  const binaries = await findServerBinaries({ user, sharedFolder });
  await prepareCluster({ cluster, binaries, user, logger, ...(signal ? { signal } : {}) });

  const access = await writeAccessFiles(join(resolve(options.dataFolder), 'run'));
  const lock = createClusterLock(cluster);
  const launch = async (socketFolder: string, extra: Pick<LaunchOptions, 'signal'> = {}): Promise<Served> =>
    launchPostgres({ postgresFolder, cluster, socketFolder, access, binaries, user, lock, lockPatienceMs, ...extra });
  try {
    const adopted = await adoptPostgres({ cluster, version: binaries.version, access, lock, logger, ...(signal ? { signal } : {}) });
    const served = adopted ?? (await launch(await prepareSocketFolder(postgresFolder, user), signal ? { signal } : {}));
    await prepareRoles(served.socketFolder);
    const { socketFolder } = served;
    const supervision = supervisePostgres({
      served,
      logger,
      random: options.random ?? (() => 1),
      launch: (folder, ending) => launch(folder, { signal: ending }),
      readLog: () => readServerLog(postgresFolder),
    });
    return {
      socketFolder,
      connection: { host: socketFolder, user: DATABASE_NAME, database: DATABASE_NAME },
      url: urlAs(DATABASE_NAME, socketFolder),
      ownerUrl: urlAs(DATABASE_OWNER, socketFolder),
      get pid() {
        return supervision.pid();
      },
      adopted: adopted !== undefined,
      onRestart: supervision.onRestart,
      onTrouble: supervision.onTrouble,
      stop: async ({ withinMs = STOP_WITHIN_MS } = {}) => {
        await supervision.stop(withinMs);
        lock.release();
        await removeSocketFolder(postgresFolder, socketFolder);
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
};

const urlAs = (role: string, socketFolder: string): string =>
  `postgresql://${role}@localhost/${DATABASE_NAME}?host=${encodeURIComponent(socketFolder)}`;
