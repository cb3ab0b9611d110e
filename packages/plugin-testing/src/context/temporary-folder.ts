import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TemporaryFolder {
  /** Absolute, links resolved. */
  readonly path: string;
  /** Repeating it is harmless. */
  remove(): Promise<void>;
}

/** A new, empty folder that only this user can enter. */
export const createTemporaryFolder = async (): Promise<TemporaryFolder> => {
  const path = await realpath(await mkdtemp(join(tmpdir(), 'pipit-test-')));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
};
