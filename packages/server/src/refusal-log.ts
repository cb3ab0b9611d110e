import type { Clock, Logger } from '@pipit/core';
import { networkOf } from './network-of.js';
import type { Refusal } from './served-runtime.js';

export interface RefusalLogOptions {
  readonly record: (refusal: Refusal) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Audit lines a minute and network; default 10. */
  readonly perNetwork?: number;
  /** Audit lines a minute over all networks; default 100. */
  readonly overall?: number;
}

export interface RefusalLog {
  /** Durable when it returns, unless this minute has had enough: then it is only counted. Never throws. */
  add(refusal: Refusal): Promise<void>;
  /** Says how many were left out, once the minute is over (or at once, with `force`). */
  summarize(options?: { readonly force?: boolean }): Promise<void>;
}

const WINDOW_MS = 60_000;
const MAX_MESSAGE_LENGTH = 300;

interface Counted {
  readonly remoteAddress: string;
  recorded: number;
  leftOut: number;
}

/**
 * Audit lines of what was refused at the door, at most so many a minute: a flood of bad requests must not fill the disk. What was left out
 * is told in a line of its own, for each network that got a line, and in one for all others; so a minute writes at most twice `overall` and one.
 */
export const createRefusalLog = ({ record, clock, logger, perNetwork = 10, overall = 100 }: RefusalLogOptions): RefusalLog => {
  let begun = clock.now().getTime();
  let recordedInAll = 0;
  let others = 0;
  let networks = new Map<string, Counted>();

  const write = async (refusal: Refusal): Promise<void> => {
    try {
      await record(refusal);
    } catch (error) {
      // The sender is told of its own fault whether or not we could write it down.
      logger.error({ err: error, code: refusal.code }, 'A refusal could not be recorded');
    }
  };

  const leftOutLine = (remoteAddress: string, count: number, whom: string): Refusal => ({
    instance: '*',
    remoteAddress,
    code: 'REFUSALS_LEFT_OUT',
    message: `${count} more refused requests of ${whom} since ${new Date(begun).toISOString()} were counted and not recorded`,
  });

  const summarize: RefusalLog['summarize'] = async ({ force = false } = {}) => {
    const now = clock.now().getTime();
    if (!force && now - begun < WINDOW_MS) return;
    const lines = [...networks]
      .filter(([, { leftOut }]) => leftOut > 0)
      .map(([network, { remoteAddress, leftOut }]) => leftOutLine(remoteAddress, leftOut, network));
    if (others > 0) lines.push(leftOutLine('*', others, 'other networks'));
    // The next minute begins before the writing, so that what is refused meanwhile counts there.
    networks = new Map();
    begun = now;
    recordedInAll = 0;
    others = 0;
    for (const line of lines) await write(line);
  };

  return {
    summarize,
    add: async (refusal) => {
      await summarize();
      const network = networkOf(refusal.remoteAddress);
      const known = networks.get(network);
      if (recordedInAll >= overall || (known?.recorded ?? 0) >= perNetwork) {
        if (known === undefined) others += 1;
        else known.leftOut += 1;
        return;
      }
      recordedInAll += 1;
      if (known === undefined) networks.set(network, { remoteAddress: refusal.remoteAddress, recorded: 1, leftOut: 0 });
      else known.recorded += 1;
      await write({ ...refusal, message: refusal.message.slice(0, MAX_MESSAGE_LENGTH) });
    },
  };
};
