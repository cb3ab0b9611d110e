import { link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PluginError } from '@pipit/core';

/** How often a lock that another holds is looked at. */
const POLL_MS = 20;
/** A publish of a large package takes seconds; whoever holds a lock longer than this hangs. */
const DEFAULT_WAIT_MS = 120_000;

const startTimeOf = async (pid: string): Promise<string | undefined> => {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The process's name stands in parentheses and may hold anything, so counting begins after it. Source: proc(5), field 22.
  return text
    ?.slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .at(19);
};

const isHeld = async (owner: string): Promise<boolean> => {
  const [pid = '', startTime = ''] = owner.split(' ');
  return /^\d+$/.test(pid) && (await startTimeOf(pid)) === startTime;
};

/** Within one process, who waits for the same path; the lock file alone cannot tell two calls of one process apart. */
const queues = new Map<string, Promise<unknown>>();

export interface FolderLockOptions {
  /** The lock's file; its folder is made. */
  readonly path: string;
  readonly signal: AbortSignal;
  /** Milliseconds. Default 120,000. */
  readonly waitMs?: number;
}

const acquire = async ({ path, signal, waitMs = DEFAULT_WAIT_MS }: FolderLockOptions): Promise<void> => {
  // A call that was cancelled while it waited for its turn must have no effect.
  signal.throwIfAborted();
  await mkdir(dirname(path), { recursive: true });
  const owner = `${process.pid} ${await startTimeOf('self')}`;
  const claim = `${path}.${process.pid}`;
  await writeFile(claim, owner);
  try {
    for (let waited = 0; ; waited += POLL_MS) {
      try {
        // A hard link is made or not: nobody ever sees a lock without its owner in it.
        await link(claim, path);
        await sweepClaims(path);
        return;
      } catch (thrown) {
        if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST')) throw thrown;
      }
      const holder = await readFile(path, 'utf8').catch(() => undefined);
      // The owner is gone (its pid ended, or is another process now). Whoever breaks it does so under a second lock, looking again.
      if (holder !== undefined && !(await isHeld(holder))) await breakLock(path, holder, claim);
      if (waited >= waitMs)
        throw new PluginError({
          code: 'LOCAL_LOCK_TIMEOUT',
          message: `${path} has been held for over ${waitMs / 1000} s by process ${holder ?? '(unknown)'}`,
          hint: 'Look what that process does; pipit lets go of the lock of a process that ended.',
          recovery: 'retry',
        });
      await delay(POLL_MS, undefined, { signal });
    }
  } finally {
    await rm(claim, { force: true });
  }
};

/** Removes the claims of processes that were killed while they waited. */
const sweepClaims = async (path: string): Promise<void> => {
  const prefix = `${basename(path)}.`;
  for (const name of await readdir(dirname(path))) {
    const pid = name.slice(prefix.length);
    if (!name.startsWith(prefix) || !/^\d+$/.test(pid) || pid === String(process.pid)) continue;
    const owner = await readFile(join(dirname(path), name), 'utf8').catch(() => '');
    if (!(await isHeld(owner)) && (await startTimeOf(pid)) === undefined) await rm(join(dirname(path), name), { force: true });
  }
};

const breakLock = async (path: string, holder: string, claim: string): Promise<void> => {
  const breaker = `${path}.breaking`;
  try {
    await link(claim, breaker);
  } catch {
    const by = await readFile(breaker, 'utf8').catch(() => undefined);
    if (by !== undefined && !(await isHeld(by))) await rm(breaker, { force: true });
    return;
  }
  try {
    if ((await readFile(path, 'utf8').catch(() => undefined)) === holder) await rm(path, { force: true });
  } finally {
    await rm(breaker, { force: true });
  }
};

/**
 * Runs one at a time over all processes of this machine. The lock of a process that was killed is taken over.
 *
 * @throws PluginError `LOCAL_LOCK_TIMEOUT` (retry)
 */
export const withFolderLock = async <T>(options: FolderLockOptions, work: () => Promise<T>): Promise<T> => {
  const before = queues.get(options.path);
  const turn = (async () => {
    await before?.catch(() => undefined);
    await acquire(options);
    try {
      return await work();
    } finally {
      await rm(options.path, { force: true });
    }
  })();
  queues.set(options.path, turn);
  try {
    return await turn;
  } finally {
    if (queues.get(options.path) === turn) queues.delete(options.path);
  }
};

/**
 * Removes the lock of a process that was killed; a lock that is held stays. For whoever finds that process's work done and so has no reason
 * to take the lock.
 *
 * @throws PluginError `LOCAL_LOCK_TIMEOUT` (retry)
 */
export const releaseDeadLock = async (options: FolderLockOptions): Promise<void> => {
  const holder = await readFile(options.path, 'utf8').catch(() => undefined);
  if (holder !== undefined && !(await isHeld(holder))) await withFolderLock(options, async () => undefined);
};
