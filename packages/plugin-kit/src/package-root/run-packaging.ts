import { type Op, PluginError, type RunOptions, type RunResult } from '@pipit/core';

export type PackagingRunOptions = Omit<RunOptions, 'confined' | 'root'>;

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';

/**
 * Runs a command on what the repository's own script may have written: always confined, so that a link which that script left behind
 * leads nowhere that it could not go itself. Without network, unless it is asked for. A non-zero exit is a result.
 */
export const runConfined = (op: Op<'shell'>, argv: readonly string[], options: PackagingRunOptions = {}): Promise<RunResult> =>
  op.shell.run(argv, { offline: true, ...options, confined: true });

/**
 * As {@link runConfined}, for commands that must succeed; gives what they printed.
 *
 * @throws PluginError `PACKAGE_BUILD_FAILED` (stop)
 */
export const runPackaging = async (op: Op<'shell'>, argv: readonly string[], options?: PackagingRunOptions): Promise<string> => {
  const { exitCode, stdout, stderr } = await runConfined(op, argv, options);
  if (exitCode === 0) return stdout;
  throw new PluginError({
    code: 'PACKAGE_BUILD_FAILED',
    message: `${argv[0]} exited ${exitCode} while the package was made: ${lastLine(stderr)}`,
    hint: "Look at the step's log. A file name with a line break, or a full disk, are the usual reasons.",
    recovery: 'stop',
  });
};

/** Writes a file as the confined user; parent folders are made. */
export const placePackageFile = async (op: Op<'shell'>, path: string, content: string): Promise<void> => {
  await runPackaging(op, ['mkdir', '-p', '--', path.slice(0, path.lastIndexOf('/'))]);
  await runPackaging(op, ['tee', '--', path], { input: content });
};
