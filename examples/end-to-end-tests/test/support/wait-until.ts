import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until a look finds something; fails with what was looked for. */
export const waitUntil = async <T>(what: string, look: () => Promise<T | undefined> | T | undefined, withinMs = 60_000): Promise<T> => {
  const end = Date.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`Not within ${withinMs} ms: ${what}`);
    await sleep(40);
  }
};
