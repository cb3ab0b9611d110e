import { setTimeout as wait } from 'node:timers/promises';
import type { PipelineClock } from '@pipit/pipeline';

/** The machine's own time. */
export const systemClock: PipelineClock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => wait(ms, undefined, { signal }).catch(() => undefined),
};
