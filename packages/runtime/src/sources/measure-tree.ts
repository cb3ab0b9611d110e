import { PluginError } from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';

export interface TreeLimits {
  /** Of all files together. */
  readonly bytes: number;
  /** Files and folders. */
  readonly files: number;
}

/** A file takes whole blocks of the disk. */
const BLOCK_BYTES = 4096;
/** Counting a million files takes a second or two. */
const COUNT_TIMEOUT_MS = 60_000;
/** Source: git ls-tree --long; a path may hold any character but NUL, so only the beginning of each entry is looked at. */
const ENTRY = /^\d{6} \w+ [0-9a-f]+ +(\d+|-)\t/;

const tooLarge = (sha: string, what: string): PluginError =>
  new PluginError({
    code: 'COMMIT_TOO_LARGE',
    message: `Commit ${sha} has more than ${what}`,
    hint: 'git keeps equal files and folders once, so a small push may mean many. Take out what is not needed, or raise sandbox.limits.',
    recovery: 'stop',
  });

/**
 * How much a commit would take when it is laid out, found without laying it out: equal files and folders are stored once in git, so that a push of
 * some kilobytes can mean terabytes.
 *
 * @throws PluginError `COMMIT_TOO_LARGE` (stop) as soon as a limit is passed; `GIT_FAILED` (retry)
 */
export const measureTree = async (mirror: string, sha: string, limits: TreeLimits, signal: AbortSignal): Promise<TreeLimits> => {
  const enough = new AbortController();
  let bytes = 0;
  let files = 0;
  let rest = '';
  let refusal: PluginError | undefined;
  const count = (entry: string): void => {
    const size = ENTRY.exec(entry)?.[1];
    files += 1;
    bytes += size === undefined || size === '-' ? BLOCK_BYTES : Math.ceil(Number(size) / BLOCK_BYTES) * BLOCK_BYTES;
  };
  const refuse = (error: PluginError): void => {
    refusal ??= error;
    enough.abort();
  };
  const onOutput = (text: string, from: 'stdout' | 'stderr'): void => {
    if (from === 'stderr' || refusal !== undefined) return;
    const entries = `${rest}${text}`.split('\0');
    rest = entries.pop() ?? '';
    for (const entry of entries) count(entry);
    if (files > limits.files) refuse(tooLarge(sha, `${limits.files} files and folders`));
    else if (bytes > limits.bytes) refuse(tooLarge(sha, `${limits.bytes} bytes of files`));
  };
  // -t: folders without a file count too, for there may be endlessly many of them.
  const result = await runCommand(['git', '--git-dir', mirror, 'ls-tree', '-r', '-t', '--full-tree', '--long', '-z', sha], {
    cwd: mirror,
    env: minimalEnvironment(mirror),
    signal: AbortSignal.any([signal, enough.signal]),
    timeoutMs: COUNT_TIMEOUT_MS,
    onOutput,
  }).catch((thrown: unknown) => {
    throw refusal ?? thrown;
  });
  if (refusal !== undefined) throw refusal;
  if (result.exitCode === 0) return { bytes, files };
  throw new PluginError({
    code: 'GIT_FAILED',
    message: `git ls-tree failed (${result.exitCode}): ${result.stderr.trim().slice(-500)}`,
    recovery: 'retry',
  });
};
