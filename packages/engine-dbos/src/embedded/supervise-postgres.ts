import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@pipit/core';
import { backoffMs } from '@pipit/pipeline';
import type { Served } from './launch.js';
import { stopPostmaster } from './postmaster.js';

/** A database that ended by itself and does not run yet. */
export interface DatabaseTrouble {
  /** What PostgreSQL, or the attempt to start it, said last. */
  readonly reason: string;
  /** Milliseconds until the next attempt. */
  readonly nextTryInMs: number;
}

export interface SupervisionOptions {
  readonly served: Served;
  readonly logger: Logger;
  readonly random: () => number;
  launch(socketFolder: string, signal: AbortSignal): Promise<Served>;
  /** The last lines of the database's own log. */
  readLog(): Promise<string>;
}

export interface Supervision {
  readonly pid: () => number;
  onRestart(callback: (pid: number) => void): void;
  onTrouble(callback: (trouble: DatabaseTrouble) => void): void;
  /** Ends the database, and any attempt to start it. */
  stop(withinMs: number): Promise<void>;
}

/** A disk with room again is used soon; a database that cannot start costs little. */
const BACKOFF = { firstMs: 200, longestMs: 10_000 } as const;
/** After so long the waits begin at the first one again. */
const STABLE_AFTER_MS = 60_000;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Starts a database again whenever it ends by itself, for as long as it takes: whether to go on waiting is for others to decide. */
export const supervisePostgres = ({ served, logger, random, launch, readLog }: SupervisionOptions): Supervision => {
  const restartCallbacks: ((pid: number) => void)[] = [];
  const troubleCallbacks: ((trouble: DatabaseTrouble) => void)[] = [];
  const stopping = new AbortController();
  let current = served;
  let attempt = 0;

  const waitAfter = async (reason: string, said?: string): Promise<void> => {
    attempt += 1;
    const nextTryInMs = backoffMs(attempt, random, BACKOFF);
    const fields = { reason, ...(said === undefined ? {} : { said }), attempt, nextTryInMs };
    logger.error(fields, 'The database does not run; it is started again');
    for (const callback of troubleCallbacks) callback({ reason, nextTryInMs });
    await sleep(nextTryInMs, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined);
  };

  const startAgain = async (): Promise<Served | undefined> => {
    let reason = 'It ended by itself';
    // Only for the log: a reason is shown to anybody, and these lines may quote statements.
    let said: string | undefined = await readLog();
    for (;;) {
      await waitAfter(reason, said);
      said = undefined;
      if (stopping.signal.aborted) return undefined;
      try {
        return await launch(current.socketFolder, stopping.signal);
      } catch (error) {
        if (stopping.signal.aborted) return undefined;
        reason = messageOf(error);
      }
    }
  };

  const watch = async (): Promise<void> => {
    for (;;) {
      const stable = setTimeout(() => {
        attempt = 0;
      }, STABLE_AFTER_MS);
      stable.unref();
      await current.ended;
      clearTimeout(stable);
      if (stopping.signal.aborted) return;
      const again = await startAgain();
      if (again === undefined) return;
      current = again;
      if (stopping.signal.aborted) {
        await stopPostmaster(again, 5_000);
        return;
      }
      logger.info({ pid: again.pid }, 'The database runs again');
      for (const callback of restartCallbacks) callback(again.pid);
    }
  };
  const watched = watch();

  return {
    pid: () => current.pid,
    onRestart: (callback) => void restartCallbacks.push(callback),
    onTrouble: (callback) => void troubleCallbacks.push(callback),
    stop: async (withinMs) => {
      stopping.abort();
      // The database holds no event loop while it runs, but its end is waited for: else Node would exit (13) in the middle of a stop.
      const alive = setInterval(() => undefined, STABLE_AFTER_MS);
      try {
        const how = await stopPostmaster(current, withinMs);
        if (how === 'forced') logger.warn({ pid: current.pid }, 'The database had to be stopped by force; it recovers at its next start');
        await watched;
      } finally {
        clearInterval(alive);
      }
    },
  };
};
