import { setTimeout as delay } from 'node:timers/promises';

/** Waits until the answer is no longer undefined or false; fails after the deadline. */
export const waitUntil = async <T>(what: string, ask: () => T | Promise<T>, withinMs = 15_000): Promise<Exclude<T, undefined | false>> => {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>; // just compared
    if (performance.now() > deadline) throw new Error(`Not within ${withinMs} ms: ${what}`);
    await delay(20);
  }
};

/** Whether a process runs (a zombie does not). */
export const isRunning = async (pid: number): Promise<boolean> => {
  const { readFile } = await import('node:fs/promises');
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat !== undefined && !/\) [ZX] /.test(stat);
};
