import type { Clock } from '@pipit/core';

export interface FakeClock extends Clock {
  /** How many {@link FakeClock.wait}s have not ended. */
  readonly waiting: number;
  /** Ends when the clock has been advanced this far; rejects with the signal's reason when that is aborted. */
  wait(ms: number, options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Moves the time on, ending the waits that fall due in the order of their times, and lets what they woke run up to its next await. */
  advance(ms: number): Promise<void>;
  /** Ends as soon as so many waits are under way. */
  untilWaiting(count: number): Promise<void>;
}

interface Wait {
  readonly due: number;
  end(): void;
}

/** Lets everything that is ready run, timers and I/O included. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * A clock that stands still until it is advanced.
 *
 * @param start ISO 8601; by default the beginning of 2026
 */
export const createFakeClock = (start = '2026-01-01T00:00:00.000Z'): FakeClock => {
  let now = Date.parse(start);
  const waits = new Set<Wait>();
  return {
    now: () => new Date(now),
    get waiting() {
      return waits.size;
    },
    wait: (ms, { signal } = {}) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(signal.reason);
          return;
        }
        const stop = (): void => {
          waits.delete(wait);
          reject(signal?.reason);
        };
        const wait: Wait = {
          due: now + ms,
          end: () => {
            waits.delete(wait);
            signal?.removeEventListener('abort', stop);
            resolve();
          },
        };
        waits.add(wait);
        signal?.addEventListener('abort', stop, { once: true });
      }),
    advance: async (ms) => {
      const until = now + ms;
      for (;;) {
        const [next] = [...waits].filter((wait) => wait.due <= until).sort((a, b) => a.due - b.due);
        if (next === undefined) break;
        now = Math.max(now, next.due);
        next.end();
        await settle();
      }
      now = until;
      await settle();
    },
    untilWaiting: async (count) => {
      while (waits.size < count) await settle();
    },
  };
};
