import { readFile } from 'node:fs/promises';

/** Names one process for good: a pid comes back, but not with the same start time in the same boot. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot, as /proc shows it. */
  readonly startTime: string;
}

/** Source: proc(5), field 22 of /proc/PID/stat; the name before it may hold spaces and parentheses. */
const START_TIME_AFTER_NAME = 19;

/** Whether that very process still runs. One that ended but was not yet waited for does not. */
export const isProcessAlive = async (identity: ProcessIdentity): Promise<boolean> => {
  const stat = await readFile(`/proc/${identity.pid}/stat`, 'utf8').catch(() => undefined);
  if (stat === undefined) return false;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] !== 'Z' && fields[0] !== 'X' && fields[START_TIME_AFTER_NAME] === identity.startTime;
};

/** Changes with every start of the machine. */
export const readBootId = async (): Promise<string> => (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
