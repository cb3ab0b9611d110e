import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@pipit/core';
import type { AccessFiles } from './access-files.js';
import type { ClusterLock } from './cluster-lock.js';
import { askDatabase } from './connect.js';
import type { Served } from './launch.js';
import { findPostmaster, isRunning, stopPostmaster } from './postmaster.js';

const ANSWER_WITHIN_MS = 10_000;
const ATTEMPT_MS = 2_000;
const ASK = "select current_setting('server_version') as version, current_setting('hba_file') as hba";
/** How often a process that is not our child is looked at. */
const WATCH_MS = 250;

/**
 * Looks for the PostgreSQL that a killed pipit left running on this cluster. One that answers, is of our version and holds the cluster's lock is adopted;
 * any other is stopped cleanly.
 */
export const adoptPostgres = async (options: {
  readonly cluster: string;
  /** As `postgres --version` names it. */
  readonly version: string;
  readonly access: AccessFiles;
  readonly lock: ClusterLock;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}): Promise<Served | undefined> => {
  const { cluster, version, access, lock, logger, signal } = options;
  const found = await findPostmaster(cluster);
  if (!found) return undefined;
  const { pid, started } = found;
  // One of an older pipit does not hold it: after our own end nothing would keep others off.
  const isGuarded = (await lock.look()) !== 'ours';
  for (let waitedMs = 0; isGuarded && waitedMs < ANSWER_WITHIN_MS && (await isRunning(found)); waitedMs += ATTEMPT_MS) {
    signal?.throwIfAborted();
    // Read again: the socket's folder is written a little after the pid.
    const { socketFolder = '', status } = (await findPostmaster(cluster)) ?? {};
    // Recovery after a crash may take minutes, and would begin again if it were ended.
    if (status === 'starting') waitedMs = 0;
    const answer =
      socketFolder === '' ? undefined : await askDatabase({ socketFolder, database: 'postgres', sql: ASK, withinMs: ATTEMPT_MS });
    if (answer?.[0]?.version === version && answer[0].hba === access.hba) {
      logger.info({ pid }, 'Adopted the database of an earlier process');
      return { pid, started, socketFolder, ended: watch({ pid, started }) };
    }
    if (answer) break; // another version, or one that lets anybody in: pipit was upgraded
    await sleep(200, undefined, signal ? { signal } : {});
  }
  logger.warn({ pid }, 'Stopping a database that cannot be adopted');
  await stopPostmaster(found, 20_000);
  return undefined;
};

const watch = async (process: { pid: number; started: string }): Promise<void> => {
  while (await isRunning(process)) await sleep(WATCH_MS, undefined, { ref: false });
};
