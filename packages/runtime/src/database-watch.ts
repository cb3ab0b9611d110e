import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, PluginError } from '@pipit/core';
import { backoffMs } from '@pipit/pipeline';

/** A database that does not answer. Times are ISO 8601 in UTC. */
export interface DatabaseAbsence {
  readonly since: string;
  /** What it, or the attempt to start it, said last. */
  readonly reason: string;
  readonly nextTryAt: string;
  /** When pipit ends, so that what supervises it can help. */
  readonly givesUpAt: string;
}

export interface DatabaseWatch {
  /** Undefined: it answers, as far as is known. */
  absence(): DatabaseAbsence | undefined;
  /** Takes note of what whoever starts the database knows. */
  note(trouble: { readonly reason: string; readonly nextTryInMs: number }): void;
  /** Looks again now. */
  lookNow(): void;
  /** Rejects with `DATABASE_UNAVAILABLE` as soon as the database is away; never settles while it is there. */
  untilAway(signal: AbortSignal): Promise<never>;
  start(): void;
  stop(): Promise<void>;
}

export interface DatabaseWatchOptions {
  /** Opens a connection and gets an answer, or fails in time. */
  readonly ping: () => Promise<void>;
  readonly giveUpAfterMs: number;
  readonly onGiveUp: (error: PluginError) => void;
  readonly logger: Logger;
  readonly now: () => Date;
  readonly monotonicMs: () => number;
  readonly random: () => number;
  /** Milliseconds between two looks while it answers. Default 5,000. */
  readonly lookEveryMs?: number;
}

const LOOK_EVERY_MS = 5_000;
const BACKOFF = { firstMs: 500, longestMs: 5_000 } as const;
/** A busy machine lets one look fail; a database that is away, the next one too. */
const FAILURES_THAT_COUNT = 2;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export const awayTooLong = (giveUpAfterMs: number, reason: string, cause?: unknown): PluginError =>
  new PluginError({
    code: 'DATABASE_AWAY_TOO_LONG',
    message: `The database was away for ${Math.round(giveUpAfterMs / 1_000)} s: ${reason}`,
    hint: 'pipit ends, so that what supervises it (systemd) can help. Nothing that was accepted is lost. `database.giveUpAfter` sets the time.',
    recovery: 'stop',
    cause,
  });

/** Knows since when and why the database does not answer, and ends the patience after a limit. */
export const createDatabaseWatch = (options: DatabaseWatchOptions): DatabaseWatch => {
  const { ping, giveUpAfterMs, onGiveUp, logger, now, monotonicMs, random, lookEveryMs = LOOK_EVERY_MS } = options;
  const stopping = new AbortController();
  let awaken = new AbortController();
  let away: { readonly sinceMs: number; readonly since: Date; reason: string; nextTryAt: Date } | undefined;
  const waiters = new Set<(error: PluginError) => void>();
  let failures = 0;
  let hasGivenUp = false;
  let loop: Promise<void> | undefined;

  const unavailable = (reason: string): PluginError =>
    new PluginError({
      code: 'DATABASE_UNAVAILABLE',
      message: `The database does not answer: ${reason}`,
      hint: 'The server tries again by itself; /readyz says since when and until when.',
      recovery: 'retry',
    });

  const note: DatabaseWatch['note'] = ({ reason, nextTryInMs }) => {
    const nextTryAt = new Date(now().getTime() + nextTryInMs);
    if (away === undefined) {
      away = { sinceMs: monotonicMs(), since: now(), reason, nextTryAt };
      for (const reject of waiters) reject(unavailable(reason));
      waiters.clear();
    }
    away.reason = reason;
    away.nextTryAt = nextTryAt;
    if (hasGivenUp || monotonicMs() - away.sinceMs < giveUpAfterMs) return;
    hasGivenUp = true;
    onGiveUp(awayTooLong(giveUpAfterMs, reason));
  };

  const look = async (): Promise<number> => {
    try {
      await ping();
      failures = 0;
      if (away !== undefined) logger.info({ awayMs: Math.round(monotonicMs() - away.sinceMs) }, 'The database answers again');
      away = undefined;
      return lookEveryMs;
    } catch (error) {
      failures += 1;
      const nextTryInMs = backoffMs(failures, random, BACKOFF);
      if (failures < FAILURES_THAT_COUNT && away === undefined) return nextTryInMs;
      const reason = messageOf(error);
      logger.warn({ reason, attempt: failures, nextTryInMs }, 'The database does not answer');
      // What starts the database knows the cause better than a connection that is refused.
      note({ reason: away?.reason ?? reason, nextTryInMs });
      return nextTryInMs;
    }
  };

  return {
    absence: () => {
      if (away === undefined) return undefined;
      const { since, reason, nextTryAt } = away;
      const givesUpAt = new Date(since.getTime() + giveUpAfterMs).toISOString();
      return { since: since.toISOString(), reason, nextTryAt: nextTryAt.toISOString(), givesUpAt };
    },
    note,
    lookNow: () => awaken.abort(),
    untilAway: (signal) =>
      new Promise((_, reject) => {
        if (away !== undefined) return reject(unavailable(away.reason));
        waiters.add(reject);
        signal.addEventListener('abort', () => waiters.delete(reject), { once: true });
      }),
    start: () => {
      loop ??= (async () => {
        while (!stopping.signal.aborted) {
          const waitMs = await look();
          awaken = new AbortController();
          const signal = AbortSignal.any([stopping.signal, awaken.signal]);
          await sleep(waitMs, undefined, { signal, ref: false }).catch(() => undefined);
        }
      })();
    },
    stop: async () => {
      stopping.abort();
      await loop;
    },
  };
};
