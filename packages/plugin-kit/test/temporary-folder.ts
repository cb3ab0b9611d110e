import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** An empty folder that is gone after the test. */
export const temporaryFolder = async (within: string = tmpdir()): Promise<string> => {
  const folder = await mkdtemp(join(within, 'pipit-kit-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
};
