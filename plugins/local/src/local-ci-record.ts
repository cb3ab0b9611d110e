import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { parseCommitSha } from '@pipit/core';
import { z } from 'zod';

/** What stands in a build's folder, which is the shell's: pipit's own records, and what the scripts may write. */
export const BUILD_FOLDERS = {
  /** Of the detached task; the scripts cannot see it. */
  task: 'task',
  source: 'source',
  output: 'output',
  home: 'home',
  temporary: 'tmp',
  /** Where the scripts' shell says which script it is at. */
  progress: 'progress',
} as const;

const RECORD_FILE = 'build.json';

const recordSchema = z.object({
  key: z.string(),
  commit: z.string().transform(parseCommitSha),
  timeLimitMs: z.number(),
  maxOutputBytes: z.number(),
  /** Why nothing was started. */
  refused: z.string().optional(),
});

/** What a build is, written before it starts; the config may change while it runs. */
export type BuildRecord = z.infer<typeof recordSchema>;

export const writeBuildRecord = async (folder: string, record: BuildRecord): Promise<void> => {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, RECORD_FILE);
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(JSON.stringify(record));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
};

/** Undefined when no build was recorded there. */
export const readBuildRecord = async (folder: string): Promise<BuildRecord | undefined> => {
  try {
    return recordSchema.parse(JSON.parse(await readFile(join(folder, RECORD_FILE), 'utf8')));
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw thrown;
  }
};
