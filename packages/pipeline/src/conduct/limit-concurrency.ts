import type { PipelineClock } from '../ports/clock.js';

export interface QuickWorkLimits {
  readonly clock: PipelineClock;
  /** How many pieces of work run at once while each is quick. */
  readonly atOnce: number;
  /** Milliseconds after which work is slow: it goes on, and gives its place to the next one. */
  readonly quickMs: number;
  /** How many slow ones there may be; with as many, places are given only when work ends. */
  readonly slowAtOnce: number;
}

/**
 * Lets a few pieces of work run at once; the others wait, and go in the order in which they came. Work that hangs gives its place away, so that
 * it keeps the others waiting for no longer than `quickMs`.
 */
export const limitQuickWork = ({ clock, atOnce, quickMs, slowAtOnce }: QuickWorkLimits): (<T>(work: () => Promise<T>) => Promise<T>) => {
  const waiting: (() => void)[] = [];
  let quick = 0;
  let slow = 0;

  const giveWay = (): void => {
    const next = waiting.shift();
    // Whoever goes next takes over the place.
    if (next === undefined) quick -= 1;
    else next();
  };

  return async (work) => {
    if (quick < atOnce) quick += 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    const ended = new AbortController();
    let isSlow = false;
    void clock.sleep(quickMs, ended.signal).then(() => {
      if (ended.signal.aborted || slow >= slowAtOnce) return;
      isSlow = true;
      slow += 1;
      giveWay();
    });
    try {
      return await work();
    } finally {
      ended.abort();
      if (isSlow) slow -= 1;
      else giveWay();
    }
  };
};
