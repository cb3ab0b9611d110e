import { spawn } from 'node:child_process';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PluginError } from '@pipit/core';
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

/** Recovery after a crash reads at most `max_wal_size`; a disk that needs longer than this for it is broken. */
const READY_WITHIN_MS = 120_000;
const MAX_LOG_BYTES = 1024 * 1024;

const tailOf = async (log: string, from: number): Promise<string> =>
  (await readFile(log).catch(() => Buffer.alloc(0))).subarray(from).toString('utf8').trim().slice(-1_000);

/**
 * Starts PostgreSQL in a session of its own, so that Ctrl-C in pipit's terminal does not stop it before pipit has drained, and waits until
 * it takes connections. Its messages go to a file, because a pipe would break when pipit is killed.
 *
 * @throws PluginError `DATABASE_START_FAILED`, `DATABASE_IN_USE` (both stop)
 */
export const launchPostgres = async (options: LaunchOptions): Promise<Served> => {
  const { cluster, socketFolder, user, signal } = options;
  const log = join(options.postgresFolder, 'server.log');
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
  for (
    let waitedMs = 0;
    pid !== undefined && started !== undefined && hasEnded === undefined && waitedMs < READY_WITHIN_MS;
    waitedMs += 20
  ) {
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
  if (pid !== undefined && started !== undefined) await stopPostmaster({ pid, started }, 5_000);
  throw new PluginError({
    code: 'DATABASE_START_FAILED',
    message: `The embedded PostgreSQL did not start (${hasEnded ?? `not ready within ${READY_WITHIN_MS / 1000} s`}): ${await tailOf(log, from)}`,
    hint: `Read ${log}. Is the disk full, or the file system read-only?`,
    recovery: 'stop',
  });
};
