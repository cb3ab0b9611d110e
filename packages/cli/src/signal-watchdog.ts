import { constants } from 'node:os';
import { Worker } from 'node:worker_threads';

export interface SignalWatchdogOptions {
  /** Whether a person reads stderr; else its lines are JSON. */
  readonly isTerminal: boolean;
  /** Told when this Node gives a thread no signals: then only SIGKILL ends a busy event loop. */
  readonly onUnavailable: (reason: string) => void;
}

const THREAD = new URL('../bin/signal-watchdog.js', import.meta.url);

/**
 * Starts a thread that counts SIGTERM and SIGINT beside the main thread. One second after the second signal it kills the process (SIGKILL),
 * so that a blocked event loop, whose own handlers never run, ends too. An event loop that is not blocked has ended the process by then.
 *
 * @returns ends the thread
 */
export const startSignalWatchdog = ({ isTerminal, onUnavailable }: SignalWatchdogOptions): (() => void) => {
  const { SIGTERM, SIGINT } = constants.signals;
  const thread = new Worker(THREAD, {
    workerData: { signals: [SIGTERM, SIGINT], isTerminal },
    // `process.binding` is deprecated, which is nothing that the user of a command can act on.
    execArgv: ['--no-deprecation'],
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 },
  });
  thread.on('message', ({ cannot }: { readonly cannot?: string }) => {
    if (cannot !== undefined) onUnavailable(cannot);
  });
  thread.on('error', (error: Error) => onUnavailable(error.message));
  // After the listeners: a listener for messages refs the thread again.
  thread.unref();
  return () => void thread.terminate();
};
