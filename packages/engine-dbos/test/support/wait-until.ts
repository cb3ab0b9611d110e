import { setTimeout as delay } from 'node:timers/promises';

/** Waits until the answer is no longer undefined or false; fails after the deadline. */
export const waitUntil = async <T>(what: string, ask: () => T | Promise<T>, withinMs = 20_000): Promise<Exclude<T, undefined | false>> => {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>; // just compared
    if (performance.now() > deadline) throw new Error(`Not within ${withinMs} ms: ${what}`);
    await delay(20);
  }
};
