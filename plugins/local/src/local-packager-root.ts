import { type Op, PluginError, type RunOptions, type RunResult } from '@pipit/core';

/** Names within the shell's folder. */
export const PACKAGE_FOLDERS = {
  source: 'source',
  outputs: 'outputs',
  /** Becomes the package. */
  root: 'root',
  control: 'root/DEBIAN',
  deb: 'package.deb',
} as const;

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';

/**
 * Runs a command on what the repository's own script may have written: always confined, so that a link which that script left behind
 * leads nowhere that it could not go itself.
 */
export const runConfined = (
  op: Op<'shell'>,
  argv: readonly string[],
  options: Omit<RunOptions, 'confined' | 'root'> = {},
): Promise<RunResult> => op.shell.run(argv, { ...options, confined: true });

/** As {@link runConfined}, for commands that must succeed. */
export const mustRun = async (
  op: Op<'shell'>,
  argv: readonly string[],
  options?: Omit<RunOptions, 'confined' | 'root'>,
): Promise<string> => {
  const { exitCode, stdout, stderr } = await runConfined(op, argv, options);
  if (exitCode === 0) return stdout;
  throw new PluginError({
    code: 'LOCAL_PACKAGE_BUILD_FAILED',
    message: `${argv[0]} exited ${exitCode} while the package was made: ${lastLine(stderr)}`,
    hint: "Look at the step's log. A file name with a line break, or a full disk, are the usual reasons.",
    recovery: 'stop',
  });
};

/** Writes a file as the confined user; parent folders are made. */
export const placeFile = async (op: Op<'shell'>, path: string, content: string): Promise<void> => {
  await mustRun(op, ['mkdir', '-p', '--', path.slice(0, path.lastIndexOf('/'))]);
  await mustRun(op, ['tee', '--', path], { input: content });
};

/** Programs and scripts by their first bytes: what CI's outputs lost on their way is their file mode. */
const EXECUTABLE_BYTES = ['#!', '\u007fELF'];

const isExecutable = async (content: AsyncIterable<Uint8Array>): Promise<boolean> => {
  for await (const chunk of content) {
    const start = Buffer.from(chunk).toString('latin1', 0, 4);
    return EXECUTABLE_BYTES.some((bytes) => start.startsWith(bytes));
  }
  return false;
};

/** Puts CI's outputs into their folder, with a mode that fits. */
export const writeOutputs = async (
  op: Op<'shell' | 'files'>,
  outputs: readonly { readonly path: string; readonly file: Parameters<Op<'files'>['files']['get']>[0] }[],
): Promise<void> => {
  for (const { path, file } of outputs) {
    if (path.startsWith('/') || path.split('/').some((part) => part === '' || part === '.' || part === '..'))
      throw new PluginError({
        code: 'LOCAL_PACKAGE_OUTPUT_PATH',
        message: `CI left a file with the path ${JSON.stringify(path)}, which does not lie within the package`,
        hint: 'The CI plugin must give paths relative to the root of the package.',
        recovery: 'stop',
      });
    const mode = (await isExecutable(op.files.get(file))) ? 0o755 : 0o644;
    await op.shell.write(`${PACKAGE_FOLDERS.outputs}/${path}`, op.files.get(file), { mode });
  }
};

/**
 * Makes everything in the root the same, whoever built it, when and with which umask: modes 0755 and 0644, and the commit's time.
 * (The owner is root by dpkg-deb's own option.) Devices, pipes and sockets are refused.
 */
export const normaliseRoot = async (op: Op<'shell'>, epochSeconds: number): Promise<void> => {
  const root = PACKAGE_FOLDERS.root;
  const special = await mustRun(op, ['find', root, '!', '-type', 'f', '!', '-type', 'd', '!', '-type', 'l', '-print', '-quit']);
  if (special !== '')
    throw new PluginError({
      code: 'LOCAL_PACKAGE_BUILD_FAILED',
      message: `${special.trim().slice(root.length)} is a device, pipe or socket, which no package should hold`,
      hint: 'Let script/package leave only files, folders and links.',
      recovery: 'stop',
    });
  await mustRun(op, ['find', root, '-type', 'd', '-exec', 'chmod', '0755', '--', '{}', '+']);
  await mustRun(op, ['find', root, '-type', 'f', '-perm', '/0111', '-exec', 'chmod', '0755', '--', '{}', '+']);
  await mustRun(op, ['find', root, '-type', 'f', '!', '-perm', '/0111', '-exec', 'chmod', '0644', '--', '{}', '+']);
  await mustRun(op, ['find', root, '-depth', '-exec', 'touch', '--no-dereference', `--date=@${epochSeconds}`, '--', '{}', '+']);
};
