import { readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 20;
const KILL_DEADLINE_MS = 20_000;

/** Where this machine has its cgroups of version 2 mounted; undefined when it has not. */
export const findCgroupRoot = async (): Promise<string | undefined> => {
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  return mounts
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, , type, options]) => type === 'cgroup2' && options?.split(',').includes('rw'))?.[1];
};

const readIfThere = (path: string): Promise<string | undefined> =>
  readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENODEV') return undefined;
    throw error;
  });

/** False while something is in it: a process that was being started joins its cgroup after the others were killed, too. */
const removeTree = async (cgroup: string): Promise<boolean> => {
  const entries = await readdir(cgroup, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory() && !(await removeTree(join(cgroup, entry.name)))) return false;
  try {
    await rmdir(cgroup);
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') return true;
    if (code === 'EBUSY') return false;
    throw error;
  }
};

/** Kills all that runs in a cgroup and below, waits until it is gone, and removes the cgroup. Harmless when there is none. */
export const removeCgroup = async (cgroup: string): Promise<void> => {
  const deadline = performance.now() + KILL_DEADLINE_MS;
  for (;;) {
    const isPopulated = (await readIfThere(join(cgroup, 'cgroup.events')))?.includes('populated 1') === true;
    if (!isPopulated && (await removeTree(cgroup))) return;
    if (performance.now() > deadline) throw new Error(`Processes in ${cgroup} do not end`);
    if (isPopulated) await writeFile(join(cgroup, 'cgroup.kill'), '1');
    await sleep(POLL_MS);
  }
};
