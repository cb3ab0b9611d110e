import { type CommitSha, isPluginError, parseCommitSha } from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';
import { z } from 'zod';

/** The commit of each polled ref. */
export type Heads = Readonly<Record<string, CommitSha>>;

/** What the last poll knew. */
export interface KnownHeads {
  /** By the repository's path. */
  readonly heads: Readonly<Record<string, Heads>>;
  /** How many changes the polls have found. */
  readonly moves: number;
}

const cursorSchema = z.object({
  heads: z.record(z.string(), z.record(z.string(), z.string().transform(parseCommitSha))),
  moves: z.int().default(0),
});

/** Undefined for a cursor that cannot be read, and for none: then nothing is known, as on the first poll. */
export const parseHeadsCursor = (cursor: string | undefined): KnownHeads | undefined => {
  if (cursor === undefined) return undefined;
  try {
    return cursorSchema.parse(JSON.parse(cursor));
  } catch {
    return undefined;
  }
};

const sorted = <T>(record: Readonly<Record<string, T>>): Readonly<Record<string, T>> =>
  Object.fromEntries(Object.entries(record).sort(([one], [other]) => (one < other ? -1 : 1)));

export const writeHeadsCursor = ({ heads, moves }: KnownHeads): string =>
  JSON.stringify({ heads: sorted(Object.fromEntries(Object.entries(heads).map(([path, refs]) => [path, sorted(refs)]))), moves });

/** `*` stands for anything but `/`, as git has it. */
const branchPattern = (branch: string): RegExp => {
  const parts = branch.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^refs/heads/${parts.join('[^/]*')}$`);
};

/** Reading the refs of a local repository takes milliseconds; a disk that hangs must not stop the other repositories. */
const READ_TIMEOUT_MS = 10_000;

/** The heads of a repository's polled branches, or a sentence that says why they cannot be read. */
export const readHeads = async (
  { path, branches }: { readonly path: string; readonly branches: readonly string[] },
  signal: AbortSignal,
): Promise<{ readonly heads: Heads } | { readonly problem: string }> => {
  const argv = [
    'git',
    // Named outright, so that git asks not whose it is; for-each-ref runs nothing of the repository's.
    `--git-dir=${path}`,
    ...['for-each-ref', '--format=%(objectname) %(refname)', '--', ...branches.map((branch) => `refs/heads/${branch}`)],
  ];
  try {
    const { exitCode, stdout, stderr } = await runCommand(argv, {
      cwd: '/',
      env: minimalEnvironment('/'),
      signal,
      timeoutMs: READ_TIMEOUT_MS,
    });
    if (exitCode !== 0) return { problem: stderr.trim().split('\n')[0] ?? `git exited ${exitCode}` };
    const found = stdout.split('\n').flatMap((line) => {
      const space = line.indexOf(' ');
      return space === -1 ? [] : [[line.slice(space + 1), parseCommitSha(line.slice(0, space))] as const];
    });
    // Git takes `feature` for the folder of `feature/login` too; only the branch of that name is meant.
    const patterns = branches.map(branchPattern);
    const isMeant = (ref: string): boolean => patterns.some((pattern) => pattern.test(ref));
    return { heads: Object.fromEntries(found.filter(([ref]) => isMeant(ref))) };
  } catch (thrown) {
    if (isPluginError(thrown) && thrown.code === 'COMMAND_TIMED_OUT')
      return { problem: `git did not answer within ${READ_TIMEOUT_MS / 1000} s` };
    throw thrown;
  }
};
