import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where what was downloaded or built stays between runs: outside every repository. `XDG_CACHE_HOME` is honoured. */
export const labCacheFolder = async (): Promise<string> => {
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'pipit-lab');
  await mkdir(folder, { recursive: true });
  return folder;
};

/**
 * Runs one at a time over all processes of this machine. `flock` holds the lock for as long as its standard input is open, so that the lock of a
 * process that was killed is free at once.
 */
export const withMachineLock = async <T>(path: string, work: () => Promise<T>): Promise<T> => {
  const holder = spawn('flock', [path, 'sh', '-c', 'echo locked; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(holder, 'exit');
  try {
    await Promise.race([once(holder.stdout, 'data'), ended.then(() => Promise.reject(new Error(`No lock on ${path}: flock ended`)))]);
    return await work();
  } finally {
    holder.stdin.end();
    await ended.catch(() => undefined);
  }
};
