import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { endProcessGroup, signalProcessGroup } from '../command/process-group.js';
import { inspectDetached } from './inspect-detached.js';
import { isProcessAlive, readBootId } from './process-identity.js';
import { readChild, readStarted } from './task-record.js';

/** Ends what a killed runner left behind: the task, and the runner's own helpers. */
const endOrphan = async (folder: string): Promise<void> => {
  const runner = await readStarted(folder);
  // After a restart of the machine, or where the pid names another process by now, nothing of this task is left.
  if (runner?.bootId === (await readBootId()) && !existsSync(`/proc/${runner.pid}`)) signalProcessGroup(runner.pid, 'SIGKILL');
  const child = await readChild(folder);
  if (child !== undefined && (await isProcessAlive(child))) await endProcessGroup(child.pid);
};

/**
 * Ends the task of a folder with all that it started, and waits until that is so: SIGTERM, and SIGKILL after 5 seconds.
 * One that ended, or never was, is left as it is.
 */
export const stopDetached = async (folder: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> => {
  for (let isTold = false; ; await delay(20, undefined, options)) {
    const state = await inspectDetached(folder);
    if (state === undefined || state.state === 'ended') return;
    if (state.state === 'lost') return endOrphan(folder);
    if (isTold) continue;
    isTold = true;
    try {
      process.kill(state.pid, 'SIGTERM');
    } catch (thrown) {
      // It ended since: the next look says how.
      if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH')) throw thrown;
    }
  }
};
