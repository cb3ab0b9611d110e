import { readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PluginError } from '@pipit/core';
import { type FolderLock, tryLockFolder } from '../data-folder/folder-lock.js';
import { listClusterProcesses } from './postmaster.js';

/**
 * The kernel's lock on the cluster. PostgreSQL inherits it, so it lasts as long as any process of PostgreSQL or the pipit that started it: also when pipit
 * was killed, and where nobody sees those processes because they are in another container.
 */
export interface ClusterLock {
  /** `foreign`: another process has it, which a killed pipit's database does. */
  look(): Promise<'ours' | 'foreign' | 'unsupported'>;
  /**
   * The descriptor to hand to PostgreSQL; undefined where the kernel has no such lock.
   *
   * @throws PluginError `DATABASE_IN_USE` (stop) when another process keeps it for longer than the patience
   */
  take(patienceMs: number, signal?: AbortSignal): Promise<number | undefined>;
  /** Writes who has started the PostgreSQL that holds the lock from now on. */
  recordHolder(pid: number): Promise<void>;
  release(): void;
}

const POLL_MS = 200;

const holderFile = (cluster: string): string => join(dirname(cluster), 'holder.json');

/** What the last starter wrote, as words; it is for people only. */
const readHolder = async (cluster: string): Promise<string> => {
  try {
    const text = await readFile(holderFile(cluster), 'utf8');
    const { pid, pipit, host } = JSON.parse(text) as { pid: number; pipit: number; host: string }; // written by recordHolder
    return `process ${pid} on ${host}, started there by pipit process ${pipit}`;
  } catch {
    return 'a process whose name is not known';
  }
};

const inUse = async (cluster: string): Promise<PluginError> => {
  const visible = await listClusterProcesses(cluster);
  return new PluginError({
    code: 'DATABASE_IN_USE',
    message: `Another PostgreSQL, or what is left of one, runs on ${cluster}: ${await readHolder(cluster)}`,
    hint:
      visible.length > 0
        ? `Seen from here these are the processes ${visible.join(', ')}. If no other pipit uses them: kill -INT ${visible[0]}, and start pipit again.`
        : 'It cannot be seen from here: stop the container, or thaw the processes, that use this folder. Then start pipit again.',
    recovery: 'stop',
  });
};

export const createClusterLock = (cluster: string): ClusterLock => {
  let held: FolderLock | undefined;

  const look = async (): Promise<'ours' | 'foreign' | 'unsupported'> => {
    if (held) return 'ours';
    const attempt = await tryLockFolder(cluster);
    if (attempt.state !== 'taken') return attempt.state === 'held' ? 'foreign' : 'unsupported';
    held = attempt.lock;
    return 'ours';
  };

  return {
    look,
    take: async (patienceMs, signal) => {
      for (let waitedMs = 0; ; waitedMs += POLL_MS) {
        const found = await look();
        if (found !== 'foreign') return held?.descriptor;
        if (waitedMs >= patienceMs) throw await inUse(cluster);
        await sleep(POLL_MS, undefined, signal ? { signal } : {});
      }
    },
    recordHolder: (pid) => writeFile(holderFile(cluster), `${JSON.stringify({ pid, pipit: process.pid, host: hostname() })}\n`),
    release: () => {
      held?.release();
      held = undefined;
    },
  };
};
