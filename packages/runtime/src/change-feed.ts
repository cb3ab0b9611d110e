import type { Change } from './api.js';

/** Changes kept for a reader that comes back with its last id. */
const KEPT = 1_000;

export interface ChangeFeed {
  publish(runId: string): void;
  follow(options: { readonly after?: number; readonly runId?: string; readonly signal: AbortSignal }): AsyncIterable<Change>;
}

/** Tells readers that a run changed; they read what it is now. A reader that falls behind misses nothing that matters: the newest state is what it reads. */
export const createChangeFeed = (): ChangeFeed => {
  const kept: Change[] = [];
  const waiting = new Set<() => void>();
  let lastId = 0;
  return {
    publish: (runId) => {
      lastId += 1;
      kept.push({ id: lastId, runId });
      if (kept.length > KEPT) kept.shift();
      for (const wake of waiting) wake();
    },
    follow: async function* ({ after, runId, signal }) {
      let seen = after ?? lastId;
      while (!signal.aborted) {
        const fresh = kept.filter((change) => change.id > seen);
        seen = fresh.at(-1)?.id ?? seen;
        // Several changes of one run are one reason to look.
        const latest = new Map(fresh.map((change) => [change.runId, change]));
        for (const change of latest.values()) if (runId === undefined || change.runId === runId) yield change;
        if (fresh.length > 0) continue;
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            waiting.delete(wake);
            signal.removeEventListener('abort', wake);
            resolve();
          };
          waiting.add(wake);
          signal.addEventListener('abort', wake, { once: true });
          if (signal.aborted) wake();
        });
      }
    },
  };
};
