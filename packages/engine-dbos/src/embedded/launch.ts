import { spawn } from 'node:child_process';
import { open, readFile, rename, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isPluginError, PluginError } from '@pipit/core';
import { processStart } from '../data-folder/process-identity.js';
import type { AccessFiles } from './access-files.js';
import type { ClusterLock } from './cluster-lock.js';
import { askDatabase } from './connect.js';
import { endOrphans, readPidFile, removeMisleadingLocks, stopPostmaster } from './postmaster.js';
import { SERVER_ENVIRONMENT } from './run-command.js';
import type { ServerBinaries } from './server-binaries.js';
import { settingArguments } from './server-settings.js';
import type { ServerUser } from './server-user.js';

export interface LaunchOptions {
  readonly postgresFolder: string;
  readonly cluster: string;
  readonly socketFolder: string;
  readonly access: AccessFiles;
  readonly binaries: ServerBinaries;
  readonly user: ServerUser | undefined;
  readonly lock: ClusterLock;
  readonly lockPatienceMs: number;
  readonly signal?: AbortSignal;
}

/** A PostgreSQL that this process supervises. */
export interface Served {
  readonly pid: number;
  readonly started: string;
  readonly socketFolder: string;
  /** Settles when it has ended, however that came. */
  readonly ended: Promise<void>;
}

const MAX_LOG_BYTES = 1024 * 1024;

const KEPT_CHARACTERS = 1_000;

const logOf = (postgresFolder: string): string => join(postgresFolder, 'server.log');

/** The last lines that PostgreSQL wrote, from an offset on. */
export const readServerLog = async (postgresFolder: string, from = 0): Promise<string> =>
  (await readFile(logOf(postgresFolder)).catch(() => Buffer.alloc(0))).subarray(from).toString('utf8').trim().slice(-KEPT_CHARACTERS);

/** A database that cannot write cannot write that either. */
const describeDisk = async (folder: string): Promise<string> => {
  const free = await statfs(folder).catch(() => undefined);
  if (free === undefined) return '';
  if (free.bavail === 0) return ` (no space is left on the disk of ${folder})`;
  return free.files > 0 && free.ffree === 0 ? ` (no inodes are left on the disk of ${folder})` : '';
};

/**
 * Starts PostgreSQL in a session of its own, so that Ctrl-C in pipit's terminal does not stop it before pipit has drained, and waits until
 * it takes connections. Its messages go to a file, because a pipe would break when pipit is killed.
 *
 * @throws PluginError `DATABASE_START_FAILED` (retry), `DATABASE_IN_USE` (stop)
 */
export const launchPostgres = async (options: LaunchOptions): Promise<Served> => {
  try {
    return await launch(options);
  } catch (cause) {
    if (options.signal?.aborted || isPluginError(cause)) throw cause;
    // A disk without space or that is read-only, a folder that nobody may enter, a process too many.
    throw await startFailed(options, cause instanceof Error ? cause.message : String(cause), cause);
  }
};

const startFailed = async ({ postgresFolder }: LaunchOptions, what: string, cause?: unknown): Promise<PluginError> =>
  new PluginError({
    code: 'DATABASE_START_FAILED',
    message: `The embedded PostgreSQL did not start${await describeDisk(postgresFolder)}: ${what}`,
    hint: `Read ${logOf(postgresFolder)}. Is the disk full, or the file system read-only?`,
    recovery: 'retry',
    cause,
  });

const launch = async (options: LaunchOptions): Promise<Served> => {
  const { cluster, socketFolder, user, signal } = options;
  const log = logOf(options.postgresFolder);
  const size = await stat(log).then(
    (entry) => entry.size,
    () => 0,
  );
  if (size > MAX_LOG_BYTES) await rename(log, `${log}.1`);
  const from = size > MAX_LOG_BYTES ? 0 : size;
  await endOrphans(cluster);
  // From here on no other PostgreSQL can be on this cluster, whether it can be seen or not.
  const lock = await options.lock.take(options.lockPatienceMs, signal);
  await removeMisleadingLocks(cluster, socketFolder);
  const output = await open(log, 'a', 0o600);
  const child = spawn(options.binaries.postgres, ['-D', cluster, ...settingArguments(socketFolder, options.access)], {
    ...user,
    cwd: '/',
    env: SERVER_ENVIRONMENT,
    detached: true,
    // The last one only to be held: by the postmaster, and by every process that it forks.
    stdio: ['ignore', output.fd, output.fd, ...(lock === undefined ? [] : [lock])],
  });
  let hasEnded: string | undefined;
  const ended = new Promise<void>((settle) => {
    const end = (how: string) => {
      hasEnded = how;
      settle();
    };
    child.on('error', (error) => end(error.message));
    child.on('exit', (code, killer) => end(killer === null ? `it exited with ${code}` : `${killer} ended it`));
  });
  await output.close();
  child.unref();
  const { pid } = child;
  const started = pid === undefined ? undefined : await processStart(pid);
  // For as long as it lives: recovery after a crash may take minutes, and would begin again if it were ended.
  while (pid !== undefined && started !== undefined && hasEnded === undefined) {
    if (signal?.aborted) {
      await stopPostmaster({ pid, started }, 5_000);
      await rm(join(socketFolder, '.s.PGSQL.5432.lock'), { force: true });
      throw signal.reason;
    }
    const file = await readPidFile(cluster);
    if (file?.pid === pid && file.status === 'ready') {
      const answer = await askDatabase({ socketFolder, database: 'postgres', sql: 'select 1', withinMs: 5_000 });
      if (answer) {
        await options.lock.recordHolder(pid);
        return { pid, started, socketFolder, ended };
      }
    }
    await sleep(20);
  }
  const said = await readServerLog(options.postgresFolder, from);
  throw await startFailed(options, `${hasEnded ?? 'it ended at once'}${said === '' ? '' : `: ${said}`}`);
};
