import type { Logger } from '@pipit/core';

/** Where nothing of this process ran for so long, requests waited. */
const WORTH_A_LINE_MS = 1_000;
const LOOK_EVERY_MS = 250;
const MICROSECONDS = 1_000;

export interface EventLoopWatch {
  readonly logger: Logger;
  /** Default 1,000. */
  readonly worthALineMs?: number;
  readonly lookEveryMs?: number;
}

/**
 * Logs each time that the event loop did not turn for over a second. The processor time spent meanwhile tells a computation (about as long) from a
 * process that was paused or swapped out (about none).
 *
 * @returns ends the watch
 */
export const watchEventLoop = ({ logger, worthALineMs = WORTH_A_LINE_MS, lookEveryMs = LOOK_EVERY_MS }: EventLoopWatch): (() => void) => {
  let lookedAt = performance.now();
  let processor = process.cpuUsage();
  const timer = setInterval(() => {
    const now = performance.now();
    const { user, system } = process.cpuUsage(processor);
    const blockedMs = Math.round(now - lookedAt - lookEveryMs);
    lookedAt = now;
    processor = process.cpuUsage();
    if (blockedMs < worthALineMs) return;
    logger.warn(
      { blockedMs, processorMs: Math.round((user + system) / MICROSECONDS) },
      'The event loop was blocked: nothing was answered meanwhile',
    );
  }, lookEveryMs);
  timer.unref();
  return () => clearInterval(timer);
};
