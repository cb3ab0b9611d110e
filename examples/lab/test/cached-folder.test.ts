import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { cachedFolder } from '../src/components/cached-folder.js';

const open = async (): Promise<string> => {
  const parent = await mkdtemp(join(tmpdir(), 'lab-cache-'));
  onTestFinished(() => rm(parent, { recursive: true, force: true }));
  return join(parent, 'packages', 'consul');
};

it('fills a folder once for several that want it at the same time', async () => {
  const folder = await open();
  let fillings = 0;
  const want = () =>
    cachedFolder(folder, async (empty) => {
      fillings += 1;
      await writeFile(join(empty, 'file'), 'whole');
    });
  expect(await Promise.all([want(), want(), want()])).toEqual([folder, folder, folder]);
  expect(fillings).toBe(1);
  expect(await readFile(join(folder, 'file'), 'utf8')).toBe('whole');
});

it('keeps nothing of a filling that failed, and fills again', async () => {
  const folder = await open();
  const broken = cachedFolder(folder, async (empty) => {
    await writeFile(join(empty, 'file'), 'half');
    throw new Error('cut off');
  });
  await expect(broken).rejects.toThrow('cut off');
  expect(existsSync(folder)).toBe(false);
  await cachedFolder(folder, (empty) => writeFile(join(empty, 'file'), 'whole'));
  expect(await readFile(join(folder, 'file'), 'utf8')).toBe('whole');
});
