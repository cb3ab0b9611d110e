import { chown, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, PluginError } from '@pipit/core';
import { writeAccessFiles } from './access-files.js';
import { adoptPostgres } from './adopt.js';
import { DATABASE_NAME, DATABASE_OWNER, prepareCluster } from './cluster.js';
import { createClusterLock } from './cluster-lock.js';
import { type LaunchOptions, launchPostgres, type Served } from './launch.js';
import { stopPostmaster } from './postmaster.js';
import { requireReachable } from './reachable-folder.js';
import { prepareRoles } from './roles.js';
import { findServerBinaries } from './server-binaries.js';
import { type ServerUser, serverUser } from './server-user.js';
import { prepareSocketFolder, removeSocketFolder } from './socket-folder.js';

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
  /** Told once when it has ended for good: without an error after `stop`, with `DATABASE_KEEPS_EXITING` when it cannot be kept running. */
  onExit(callback: (error: PluginError | undefined) => void): void;
  /** A fast shutdown, forced after `withinMs` (default 20 s). */
  stop(options?: { readonly withinMs?: number }): Promise<void>;
}

/** Tries in a row before a dying database is given up; the count begins anew once it has run for a while. */
const MAX_RESTARTS = 8;
const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 2_000;
const STABLE_AFTER_MS = 60_000;
/** A PostgreSQL that was stopped or killed just now may take so long to be gone. */
const LOCK_PATIENCE_MS = 15_000;

/**
 * Runs PostgreSQL from its npm binaries as a supervised process on a Unix socket, to which only our own user and root may connect.
 * Made on the first start; adopted when a killed pipit left it running; started again when it dies.
 *
 * @throws PluginError `DATABASE_BINARIES_UNUSABLE`, `DATABASE_FOLDER_UNREACHABLE`, `DATABASE_INIT_FAILED`, `DATABASE_IN_USE`,
 * `DATABASE_START_FAILED`, `DATABASE_USER_NAMELESS`, `DATABASE_USER_NOT_MADE`, `DATABASE_VERSION_MISMATCH` (all stop)
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
    return supervise({
      served,
      adopted: adopted !== undefined,
      logger,
      launch,
      clean: async () => {
        lock.release();
        await removeSocketFolder(postgresFolder, served.socketFolder);
      },
    });
  } catch (error) {
    lock.release();
    throw error;
  }
};

const urlAs = (role: string, socketFolder: string): string =>
  `postgresql://${role}@localhost/${DATABASE_NAME}?host=${encodeURIComponent(socketFolder)}`;

interface Supervised {
  readonly served: Served;
  readonly adopted: boolean;
  readonly logger: Logger;
  launch(socketFolder: string): Promise<Served>;
  clean(): Promise<void>;
}

const supervise = ({ served: first, adopted, logger, launch, clean }: Supervised): EmbeddedPostgres => {
  const { socketFolder } = first;
  const restartCallbacks: ((pid: number) => void)[] = [];
  const exitCallbacks: ((error: PluginError | undefined) => void)[] = [];
  const stopping = new AbortController();
  let current = first;

  const startAgain = async (tries: number): Promise<Served | undefined> => {
    for (let attempt = tries; attempt < MAX_RESTARTS && !stopping.signal.aborted; attempt += 1) {
      const backoffMs = Math.min(FIRST_BACKOFF_MS * 2 ** attempt, LONGEST_BACKOFF_MS);
      await sleep(backoffMs, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined);
      if (stopping.signal.aborted) return undefined;
      try {
        return await launch(socketFolder);
      } catch (error) {
        logger.warn({ error, attempt }, 'The database did not start again');
      }
    }
    return undefined;
  };

  const watch = async (): Promise<PluginError | undefined> => {
    let tries = 0;
    for (;;) {
      let isStable = false;
      const stable = setTimeout(() => {
        isStable = true;
      }, STABLE_AFTER_MS);
      stable.unref();
      await current.ended;
      clearTimeout(stable);
      if (stopping.signal.aborted) return undefined;
      logger.error({ pid: current.pid }, 'The database ended by itself; starting it again');
      tries = isStable ? 0 : tries;
      const again = await startAgain(tries);
      if (stopping.signal.aborted) {
        if (again) await stopPostmaster(again, 5_000);
        return undefined;
      }
      if (!again)
        return new PluginError({
          code: 'DATABASE_KEEPS_EXITING',
          message: `The embedded PostgreSQL ended ${MAX_RESTARTS} times in a row and is not started again`,
          hint: 'Read server.log in the postgres folder of the data folder; free memory or disk, then start pipit again.',
          recovery: 'stop',
        });
      tries += 1;
      current = again;
      for (const callback of restartCallbacks) callback(again.pid);
    }
  };

  const watched = watch();
  void watched.then((error) => {
    for (const callback of exitCallbacks) callback(error);
  });

  return {
    socketFolder,
    connection: { host: socketFolder, user: DATABASE_NAME, database: DATABASE_NAME },
    url: urlAs(DATABASE_NAME, socketFolder),
    ownerUrl: urlAs(DATABASE_OWNER, socketFolder),
    get pid() {
      return current.pid;
    },
    adopted,
    onRestart: (callback) => void restartCallbacks.push(callback),
    onExit: (callback) => void exitCallbacks.push(callback),
    stop: async ({ withinMs = 20_000 } = {}) => {
      stopping.abort();
      // The database holds no event loop while it runs, but its end is waited for: else Node would exit (13) in the middle of a stop.
      const alive = setInterval(() => undefined, STABLE_AFTER_MS);
      try {
        const how = await stopPostmaster(current, withinMs);
        if (how === 'forced') logger.warn({ pid: current.pid }, 'The database had to be stopped by force; it recovers at its next start');
        await watched;
        await clean();
      } finally {
        clearInterval(alive);
      }
    },
  };
};
