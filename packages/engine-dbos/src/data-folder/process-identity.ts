import { execFile } from 'node:child_process';
import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { promisify } from 'node:util';

/** What tells one process from every other one that ever bore its pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Changes when the pid is used again: clock ticks since boot on Linux, `ps`'s start time elsewhere. */
  readonly started: string;
  readonly host: string;
  /** Changes with each boot; empty where the system has none. */
  readonly bootId: string;
  /** Two containers number their processes apart; empty where there are no pid namespaces. */
  readonly pidNamespace: string;
}

const run = promisify(execFile);

const textOf = (read: Promise<string>): Promise<string> => read.then((text) => text.trim()).catch(() => '');

/** When a living process began; undefined when there is none, or only a zombie. */
export const processStart = async (pid: number): Promise<string | undefined> => {
  if (process.platform !== 'linux') {
    const started = await run('ps', ['-o', 'lstart=', '-p', String(pid)]).then(
      ({ stdout }) => stdout.trim(),
      () => '', // `ps` exits with 1 when there is no such process
    );
    return started === '' ? undefined : started;
  }
  const stat = await textOf(readFile(`/proc/${pid}/stat`, 'utf8'));
  // proc(5): the second field is the command in brackets and may hold blanks; state is field 3, start time field 22.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, started] = [fields[0], fields[19]];
  return stat === '' || state === 'Z' || state === 'X' ? undefined : started;
};

/** The identity of this process. */
export const identifyProcess = async (): Promise<ProcessIdentity> => ({
  pid: process.pid,
  started: (await processStart(process.pid)) ?? '',
  host: hostname(),
  bootId: await textOf(readFile('/proc/sys/kernel/random/boot_id', 'utf8')),
  pidNamespace: await textOf(readlink('/proc/self/ns/pid')),
});

/**
 * Whether a recorded process lives.
 *
 * - `unknown`: it belongs to another machine or another container, whose processes cannot be seen from here.
 */
export const processLiveness = async (recorded: ProcessIdentity, self: ProcessIdentity): Promise<'alive' | 'gone' | 'unknown'> => {
  if (recorded.host !== self.host) return 'unknown';
  if (recorded.bootId !== self.bootId) return 'gone';
  if (recorded.pidNamespace !== self.pidNamespace) return 'unknown';
  return (await processStart(recorded.pid)) === recorded.started ? 'alive' : 'gone';
};
