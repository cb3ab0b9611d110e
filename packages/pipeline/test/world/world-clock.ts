import type { PipelineClock } from '../../src/index.js';

export interface WorldClock extends PipelineClock {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Ends the sleep that is due first, moving the time there. False when nobody sleeps. */
  advanceToNext(): boolean;
  /** Sets the machine's clock forward or back: sleeps and what only grows do not notice. */
  step(ms: number): void;
  /** Time goes by, and nobody does anything in it: whoever sleeps sleeps on until behind it. */
  skip(ms: number): void;
}

interface Sleep {
  readonly due: number;
  readonly end: () => void;
}

/** Time that passes only when everybody sleeps: an hour's bake takes no time at all. */
export const createWorldClock = (start = '2026-01-01T00:00:00.000Z'): WorldClock => {
  let time = Date.parse(start);
  let stepped = 0;
  const sleeps = new Set<Sleep>();
  return {
    get time() {
      return time;
    },
    now: () => new Date(time + stepped),
    monotonicMs: () => time,
    skip: (ms) => {
      time += ms;
    },
    step: (ms) => {
      stepped += ms;
    },
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        const end = (): void => {
          sleeps.delete(sleep);
          signal.removeEventListener('abort', end);
          resolve();
        };
        const sleep: Sleep = { due: time + ms, end };
        if (signal.aborted) return resolve();
        sleeps.add(sleep);
        signal.addEventListener('abort', end, { once: true });
      }),
    advanceToNext: () => {
      let next: Sleep | undefined;
      for (const sleep of sleeps) if (next === undefined || sleep.due < next.due) next = sleep;
      if (next === undefined) return false;
      time = Math.max(time, next.due);
      next.end();
      return true;
    },
  };
};
