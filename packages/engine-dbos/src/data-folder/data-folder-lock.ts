import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, PluginError } from '@pipit/core';
import { type FolderLock, tryLockFolder } from './folder-lock.js';
import { identifyProcess, type ProcessIdentity, processLiveness } from './process-identity.js';

/** Who serves a data folder. */
export interface DataFolderOwner {
  readonly pid: number;
  /** The machine's (or container's) name. */
  readonly host: string;
  /** Where its server listens; absent until it does. */
  readonly url?: string;
  /** ISO 8601 in UTC. */
  readonly since: string;
}

/** Held by the one `pipit serve` of a data folder. */
export interface DataFolderLock {
  /** Why the kernel does not guard this lock, so that only its heartbeat does: a frozen holder is then taken for dead. Absent: it guards it. */
  readonly unguarded?: string;
  /** Tells other processes where the server listens: see {@link readDataFolderOwner}. */
  recordUrl(url: string): Promise<void>;
  release(): Promise<void>;
}

interface LockRecord extends ProcessIdentity {
  readonly since: string;
  readonly url?: string;
  readonly released?: true;
  /** The kernel holds a lock for as long as this holder lives, so on this kernel nobody needs to look for its process. */
  readonly guarded?: true;
}

/**
 * Two locks in one. The kernel's, on the folder itself, holds off every process of this machine, however its holder is frozen and in whatever
 * container it is (docs/decisions/0008). Files beside it name the holder, and are all there is where the kernel's lock is not to be had.
 *
 * They are a row of files `lock.<n>`; the highest counts. One that is released or whose holder died is never removed or
 * written by others: the next holder makes `lock.<n+1>` by link(2), which succeeds for exactly one of several racers.
 * Removing and re-making one file cannot do that, since a slow racer may remove the lock that a quick one has just taken.
 */
const LOCK_NAME = /^lock\.(\d+)$/;
/** How often a holder touches its lock, for those who cannot see its process: in another container or on another machine. */
const HEARTBEAT_MS = 2_000;
/** Such a holder counts as dead when its lock was not touched for so long. */
const FOREIGN_PATIENCE_MS = 9_000;
/** A killed holder's descriptors close, and one that takes the lock writes its name, within so long. */
const KERNEL_PATIENCE_MS = 1_000;
const KERNEL_POLL_MS = 100;

const runFolder = (dataFolder: string): string => join(resolve(dataFolder), 'run');

const generations = async (folder: string): Promise<readonly number[]> =>
  (await readdir(folder))
    .map((name) => LOCK_NAME.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => b - a);

interface Found {
  readonly generation: number;
  readonly path: string;
  readonly record: LockRecord;
}

const readHighest = async (folder: string): Promise<Found | undefined> => {
  for (;;) {
    const generation = (await generations(folder))[0];
    if (generation === undefined) return undefined;
    const path = join(folder, `lock.${generation}`);
    try {
      // Written whole before it was linked, by this package.
      return { generation, path, record: JSON.parse(await readFile(path, 'utf8')) as LockRecord };
    } catch (error) {
      // A newer holder has removed it since it was listed: look again.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
};

/** The record is written to a file of its own first, so that a lock is never seen half written. */
const writeRecord = async (folder: string, record: LockRecord): Promise<string> => {
  const path = join(folder, `claim.${randomUUID()}`);
  const file = await open(path, 'wx', 0o644);
  try {
    await file.writeFile(`${JSON.stringify(record)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  return path;
};

const isHeld = async (found: Found, self: LockRecord, signal?: AbortSignal): Promise<boolean> => {
  if (found.record.released) return false;
  // The kernel gave us the lock that this holder had: it is gone, and so is whatever has its pid now.
  if (self.guarded && found.record.guarded && found.record.bootId === self.bootId) return false;
  const liveness = await processLiveness(found.record, self);
  if (liveness !== 'unknown') return liveness === 'alive';
  const touched = (): Promise<number | undefined> =>
    stat(found.path)
      .then((entry) => entry.mtimeMs)
      .catch(() => undefined);
  const before = await touched();
  await sleep(FOREIGN_PATIENCE_MS, undefined, signal ? { signal } : {});
  // Only a change is looked at, so that two machines' clocks need not agree.
  return (await touched()) !== before;
};

const inUse = (dataFolder: string, holder: LockRecord | undefined): PluginError => {
  // Between taking the lock and writing who has it, or when the files were removed.
  if (holder === undefined || holder.released)
    return new PluginError({
      code: 'DATA_FOLDER_IN_USE',
      message: `${dataFolder} is in use by another pipit process, which has not written its name there`,
      hint: `Find it with: fuser -v ${dataFolder}. Stop it first, or start with another data folder.`,
      recovery: 'stop',
    });
  const { pid, since, host, url } = holder;
  return new PluginError({
    code: 'DATA_FOLDER_IN_USE',
    message: `${dataFolder} is in use by pipit process ${pid} on ${host} since ${since}${url === undefined ? '' : `, serving ${url}`}`,
    hint: `Use the one that runs, stop it first (kill ${pid} on ${host}; a paused container holds it too), or start with another data folder.`,
    recovery: 'stop',
  });
};

/** @returns undefined: another process of this kernel has it */
const lockByKernel = async (folder: string, signal?: AbortSignal): Promise<FolderLock | { readonly unguarded: string } | undefined> => {
  for (let waitedMs = 0; ; waitedMs += KERNEL_POLL_MS) {
    const attempt = await tryLockFolder(folder);
    if (attempt.state === 'taken') return attempt.lock;
    if (attempt.state === 'unsupported') return { unguarded: attempt.reason };
    if (waitedMs >= KERNEL_PATIENCE_MS) return undefined;
    await sleep(KERNEL_POLL_MS, undefined, signal ? { signal } : {});
  }
};

/**
 * Takes a prepared data folder for this process, so that it has one `pipit serve`. A lock whose holder was killed is taken over by exactly
 * one of those who try; a pid that is used again, or a reboot, does not keep it. A holder that is paused keeps it.
 *
 * @throws PluginError `DATA_FOLDER_IN_USE` (stop), naming the holder
 */
export const lockDataFolder = async (options: {
  readonly dataFolder: string;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}): Promise<DataFolderLock> => {
  const dataFolder = resolve(options.dataFolder);
  const folder = runFolder(dataFolder);
  await mkdir(folder, { recursive: true });
  const kernel = await lockByKernel(dataFolder, options.signal);
  if (kernel === undefined) throw inUse(dataFolder, (await readHighest(folder))?.record);
  const guard = 'descriptor' in kernel ? kernel : undefined;
  try {
    const named = await nameHolder({ ...options, dataFolder, folder, isGuarded: guard !== undefined });
    return {
      ...('unguarded' in kernel ? { unguarded: kernel.unguarded } : {}),
      recordUrl: named.recordUrl,
      release: async () => {
        // Last, so that nobody who gets the lock finds our name there as a living holder's.
        await named.release().finally(() => guard?.release());
      },
    };
  } catch (error) {
    guard?.release();
    throw error;
  }
};

/** Writes who holds the folder, and touches that while it does. */
const nameHolder = async (options: {
  readonly dataFolder: string;
  readonly folder: string;
  readonly clock: Clock;
  readonly isGuarded: boolean;
  readonly signal?: AbortSignal;
}): Promise<Pick<DataFolderLock, 'recordUrl' | 'release'>> => {
  const { dataFolder, folder, clock, isGuarded, signal } = options;
  let record: LockRecord = {
    ...(await identifyProcess()),
    since: clock.now().toISOString(),
    ...(isGuarded ? { guarded: true } : {}),
  };
  const claim = await writeRecord(folder, record);
  try {
    const generation = await take(folder, { dataFolder, claim, self: record, ...(signal ? { signal } : {}) });
    const path = join(folder, `lock.${generation}`);
    const heartbeat = setInterval(() => {
      const now = clock.now();
      // A lock that cannot be touched is gone with its folder; there is nobody left to tell.
      utimes(path, now, now).catch(() => undefined);
    }, HEARTBEAT_MS);
    heartbeat.unref();
    const replace = async (next: LockRecord): Promise<void> => {
      record = next;
      await rename(await writeRecord(folder, next), path);
    };
    return {
      recordUrl: (url) => replace({ ...record, url }),
      release: async () => {
        clearInterval(heartbeat);
        if (!record.released) await replace({ ...record, released: true });
      },
    };
  } finally {
    await rm(claim, { force: true });
  }
};

const take = async (
  folder: string,
  { dataFolder, claim, self, signal }: { dataFolder: string; claim: string; self: LockRecord; signal?: AbortSignal },
): Promise<number> => {
  for (;;) {
    const found = await readHighest(folder);
    if (found && (await isHeld(found, self, signal))) throw inUse(dataFolder, found.record);
    const generation = (found?.generation ?? 0) + 1;
    const path = join(folder, `lock.${generation}`);
    try {
      await link(claim, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw error;
    }
    // Between the look and the link others may have held and lost the lock; then a higher one stands and ours means nothing.
    if ((await generations(folder))[0] !== generation) {
      await rm(path, { force: true });
      continue;
    }
    await syncFolder(folder);
    for (const older of await generations(folder)) if (older < generation) await rm(join(folder, `lock.${older}`), { force: true });
    await removeAbandonedClaims(folder, claim);
    return generation;
  }
};

const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** Claims of racers that were killed; a living racer's claim is named by a living process. */
const removeAbandonedClaims = async (folder: string, own: string): Promise<void> => {
  const self = await identifyProcess();
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (!name.startsWith('claim.') || path === own) continue;
    const text = await readFile(path, 'utf8').catch(() => undefined);
    const holder = text === undefined || text === '' ? undefined : (JSON.parse(text) as LockRecord); // written by writeRecord
    if (holder && (await processLiveness(holder, self)) === 'gone') await rm(path, { force: true });
  }
};

/** Who serves a data folder now; undefined when nobody does, or its holder died. */
export const readDataFolderOwner = async (dataFolder: string): Promise<DataFolderOwner | undefined> => {
  const folder = runFolder(dataFolder);
  const found = await readHighest(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!found || found.record.released || (await processLiveness(found.record, await identifyProcess())) === 'gone') return undefined;
  const { pid, host, since, url } = found.record;
  return { pid, host, since, ...(url === undefined ? {} : { url }) };
};
