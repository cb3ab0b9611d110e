import { execFile } from 'node:child_process';
import { readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { processStart } from '../data-folder/process-identity.js';

/** A PostgreSQL that runs on our cluster. */
export interface Postmaster {
  readonly pid: number;
  /** Tells it from a later process with the same pid. */
  readonly started: string;
  readonly socketFolder: string;
  /** `ready` once it takes connections. */
  readonly status: string;
}

const run = promisify(execFile);

/** Lines of postmaster.pid: pid, data folder, start time, port, socket folder, address, shared memory, status. Source: miscinit.h of PostgreSQL. */
export const readPidFile = async (cluster: string): Promise<{ pid: number; socketFolder: string; status: string } | undefined> => {
  const text = await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '');
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  return Number.isInteger(pid) && pid > 0 ? { pid, socketFolder: lines[4] ?? '', status: (lines[7] ?? '').trim() } : undefined;
};

/** Whether a process works in a folder: the same folder, and not one of the same name in another container. Undefined: we may not look. */
const worksIn = async (pid: number, folder: string): Promise<boolean | undefined> => {
  const here = await stat(folder);
  try {
    const there = await stat(`/proc/${pid}/cwd`);
    return there.dev === here.dev && there.ino === here.ino;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? undefined : false;
  }
};

/**
 * Whether a process is PostgreSQL at work in this cluster: its program is `postgres` and its working folder the cluster, which no other
 * process has. Where there is no /proc, or root may not look at other users' processes (most containers), its command line must name the cluster.
 */
const servesCluster = async (pid: number, cluster: string): Promise<boolean> => {
  if (process.platform !== 'linux') {
    const { stdout } = await run('ps', ['-o', 'command=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
    return stdout.includes('postgres') && stdout.includes(cluster);
  }
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
  if (name.trim() !== 'postgres') return false;
  const isThere = await worksIn(pid, cluster);
  if (isThere !== undefined) return isThere;
  const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
  return words[words.indexOf('-D') + 1] === cluster;
};

/** Every process of a PostgreSQL on this cluster that can be seen from here. */
export const listClusterProcesses = async (cluster: string): Promise<readonly number[]> => {
  if (process.platform !== 'linux') return [];
  const found: number[] = [];
  for (const name of await readdir('/proc'))
    if (/^\d+$/.test(name) && (await servesCluster(Number(name), cluster))) found.push(Number(name));
  return found;
};

/** The PostgreSQL that postmaster.pid names, if that process is really it. */
export const findPostmaster = async (cluster: string): Promise<Postmaster | undefined> => {
  const named = await readPidFile(cluster);
  if (!named || !(await servesCluster(named.pid, cluster))) return undefined;
  const started = await processStart(named.pid);
  return started === undefined ? undefined : { ...named, started };
};

/**
 * Removes the lock files of a dead PostgreSQL whose pid is still or again taken: by a zombie that nobody reaped, or by some other process.
 * PostgreSQL would take that for itself and refuse to start. Files of a pid that is free are left to PostgreSQL, and so is all while any
 * process of the cluster lives.
 */
export const removeMisleadingLocks = async (cluster: string, socketFolder?: string): Promise<void> => {
  const named = await readPidFile(cluster);
  if (!named || process.platform !== 'linux') return;
  const isTaken = await readdir(`/proc/${named.pid}`).then(
    () => true,
    () => false,
  );
  if (!isTaken) return;
  if ((await listClusterProcesses(cluster)).length > 0) return;
  for (const folder of [named.socketFolder, socketFolder])
    if (folder !== undefined && folder !== '') await rm(join(folder, '.s.PGSQL.5432.lock'), { force: true });
  await rm(join(cluster, 'postmaster.pid'), { force: true });
};

export const isRunning = async ({ pid, started }: Pick<Postmaster, 'pid' | 'started'>): Promise<boolean> =>
  (await processStart(pid)) === started;

const send = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
};

/** Its processes end by themselves when their postmaster does, unless they are frozen. */
const ORPHANS_END_WITHIN_MS = 2_000;
const ORPHANS_POLL_MS = 200;

/** Whose pids are ours: in another container a postmaster may live that postmaster.pid names by a pid of that container. */
const isInOurNamespace = async (pid: number): Promise<boolean> => {
  const namespaceOf = (of: number | 'self') => readlink(`/proc/${of}/ns/pid`).catch(() => undefined);
  const [theirs, ours] = await Promise.all([namespaceOf(pid), namespaceOf('self')]);
  return theirs !== undefined && theirs === ours;
};

const findOrphans = async (cluster: string): Promise<readonly number[]> => {
  const found = await listClusterProcesses(cluster);
  // Written negative by a PostgreSQL in single-user mode, which somebody repairs with.
  const named = Math.abs(Number((await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')[0]));
  if (found.includes(named)) return [];
  const areOurs = await Promise.all(found.map(isInOurNamespace));
  return found.filter((_, index) => areOurs[index]);
};

/**
 * Kills what a dead postmaster left: a frozen process of its own keeps shared memory and the kernel's lock, so that no other can start. Does nothing while the
 * postmaster lives, or may live in another container.
 */
export const endOrphans = async (cluster: string): Promise<void> => {
  for (let waitedMs = 0; waitedMs <= 2 * ORPHANS_END_WITHIN_MS; waitedMs += ORPHANS_POLL_MS) {
    const orphans = await findOrphans(cluster);
    if (orphans.length === 0) return;
    if (waitedMs >= ORPHANS_END_WITHIN_MS) for (const pid of orphans) send(pid, 'SIGKILL');
    await sleep(ORPHANS_POLL_MS);
  }
  // Those that even the kernel cannot end keep the lock, and PostgreSQL itself refuses.
};

const POLL_MS = 20;

const waitForEnd = async (postmaster: Pick<Postmaster, 'pid' | 'started'>, withinMs: number): Promise<boolean> => {
  for (let waitedMs = 0; waitedMs < withinMs; waitedMs += POLL_MS) {
    if (!(await isRunning(postmaster))) return true;
    await sleep(POLL_MS);
  }
  return !(await isRunning(postmaster));
};

/**
 * Ends a postmaster: a fast shutdown (connections are cut, everything is written), after the deadline an immediate one (the next start
 * recovers from its log), and last the kernel's.
 */
export const stopPostmaster = async (postmaster: Pick<Postmaster, 'pid' | 'started'>, withinMs: number): Promise<'clean' | 'forced'> => {
  if (!(await isRunning(postmaster))) return 'clean';
  send(postmaster.pid, 'SIGINT');
  if (await waitForEnd(postmaster, withinMs)) return 'clean';
  send(postmaster.pid, 'SIGQUIT');
  if (!(await waitForEnd(postmaster, 5_000))) {
    send(postmaster.pid, 'SIGKILL');
    await waitForEnd(postmaster, 5_000);
  }
  return 'forced';
};
