import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { withFolderLock } from '../src/folder-lock.js';
import { removeFolder, temporaryFolder } from './hosts-support.js';

let folder: string;
let path: string;
const signal = AbortSignal.timeout(60_000);

beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder, 'a.lock');
});
afterEach(() => removeFolder(folder));

const startTimeOf = async (pid: number): Promise<string> => {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
};

it('lets one at a time in, and leaves nothing behind', async () => {
  let [inside, most] = [0, 0];
  const visit = () =>
    withFolderLock({ path, signal }, async () => {
      inside += 1;
      most = Math.max(most, inside);
      await delay(1);
      inside -= 1;
    });
  await Promise.all(Array.from({ length: 20 }, visit));
  expect(most).toBe(1);
  expect(await readdir(folder)).toEqual([]);
});

it('lets the next in when the work before failed', async () => {
  await expect(withFolderLock({ path, signal }, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await withFolderLock({ path, signal }, async () => 'in')).toBe('in');
});

it('waits for another process that holds it, and takes over when that was killed', async () => {
  const other = spawn('sleep', ['60'], { stdio: 'ignore' });
  await once(other, 'spawn');
  const pid = other.pid ?? 0;
  await writeFile(path, `${pid} ${await startTimeOf(pid)}`);
  await writeFile(`${path}.${pid}`, `${pid} ${await startTimeOf(pid)}`);
  await expect(withFolderLock({ path, signal, waitMs: 100 }, async () => 'in')).rejects.toMatchObject({
    code: 'LOCAL_LOCK_TIMEOUT',
    message: expect.stringContaining(String(pid)),
  });
  other.kill('SIGKILL');
  await once(other, 'exit');
  expect(await withFolderLock({ path, signal }, async () => 'in')).toBe('in');
  expect(await readdir(folder)).toEqual([]);
});

it('does not take a reused pid for the owner', async () => {
  await writeFile(path, `${process.pid} 1`);
  expect(await withFolderLock({ path, signal }, async () => 'in')).toBe('in');
});
