import { setTimeout as delay } from 'node:timers/promises';

/** How long a group has to end by itself after SIGTERM. */
export const TERMINATION_GRACE_MS = 5_000;

const isNoSuchProcess = (thrown: unknown): boolean => thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH';

/** Sends a signal to every process of a group; false when there is none left. */
export const signalProcessGroup = (leaderPid: number, signal: NodeJS.Signals | 0): boolean => {
  try {
    process.kill(-leaderPid, signal);
    return true;
  } catch (thrown) {
    if (isNoSuchProcess(thrown)) return false;
    throw thrown;
  }
};

/** Ends a whole process group: SIGTERM, and SIGKILL to what is left after the grace. */
export const endProcessGroup = async (leaderPid: number, graceMs: number = TERMINATION_GRACE_MS): Promise<void> => {
  if (!signalProcessGroup(leaderPid, 'SIGTERM')) return;
  for (let waitedMs = 0; waitedMs < graceMs; waitedMs += 50) {
    await delay(50);
    if (!signalProcessGroup(leaderPid, 0)) return;
  }
  signalProcessGroup(leaderPid, 'SIGKILL');
};
