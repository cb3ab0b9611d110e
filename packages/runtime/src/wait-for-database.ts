import { setTimeout as sleep } from 'node:timers/promises';
import { isPluginError, type Logger } from '@pipit/core';
import { isDatabaseAway } from '@pipit/engine-dbos';
import { backoffMs } from '@pipit/pipeline';
import { awayTooLong, type DatabaseAbsence } from './database-watch.js';
import { systemClock } from './machine/system-clock.js';

/** Does a piece of a start, again and again while what it needs is away. The signal ends it at the limit. */
export type WaitForDatabase = <T>(work: (signal: AbortSignal) => Promise<T>) => Promise<T>;

export interface Patience {
  /** 0: the first failure is the last. */
  readonly giveUpAfterMs: number;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly random: () => number;
  /** Called after each failure that is waited for. */
  readonly onAway?: (absence: DatabaseAbsence) => void;
}

const BACKOFF = { firstMs: 500, longestMs: 10_000 } as const;

const mayComeBack = (error: unknown): boolean => (isPluginError(error) ? error.recovery !== 'stop' : isDatabaseAway(error));

/** What a running server waits for, its start waits for too, up to the same limit. All pieces of one start share it. */
export const createWaitForDatabase = ({ giveUpAfterMs, logger, signal, random, onAway }: Patience): WaitForDatabase => {
  const startedAt = systemClock.now().getTime();
  const limit = giveUpAfterMs === 0 ? undefined : AbortSignal.timeout(giveUpAfterMs);
  const ending = limit === undefined ? signal : AbortSignal.any([signal, limit]);
  let reason = 'it did not start';
  let attempt = 0;

  return async (work) => {
    for (;;) {
      try {
        signal.throwIfAborted();
        return await work(ending);
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        if (limit?.aborted) throw awayTooLong(giveUpAfterMs, reason, error);
        if (limit === undefined || !mayComeBack(error)) throw error;
        reason = error instanceof Error ? error.message : String(error);
        attempt += 1;
        const nextTryInMs = backoffMs(attempt, random, BACKOFF);
        logger.warn({ reason, attempt, nextTryInMs }, 'The start waits for the database');
        const inTime = (ms: number): string => new Date(ms).toISOString();
        const nextTryAt = inTime(systemClock.now().getTime() + nextTryInMs);
        onAway?.({ since: inTime(startedAt), reason, nextTryAt, givesUpAt: inTime(startedAt + giveUpAfterMs) });
        await sleep(nextTryInMs, undefined, { signal: ending }).catch(() => undefined);
        if (limit.aborted) throw awayTooLong(giveUpAfterMs, reason, error);
      }
    }
  };
};
