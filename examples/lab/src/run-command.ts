import { execa } from 'execa';

/** How a command ended. */
export interface CommandResult {
  /** 128 and the signal's number when a signal ended it. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Given on its standard input. Default: empty. */
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds until it is killed. Default 600,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const DEFAULT_TIMEOUT_MS = 600_000;

/**
 * Runs a command and says how it ended; another exit code than 0 is an answer, not an error.
 * @throws Error when it cannot be started, takes too long or is aborted.
 */
export const tryCommand = async (argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> => {
  const [program = '', ...rest] = argv;
  const { input, env, timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
  const result = await execa(program, rest, {
    reject: false,
    stripFinalNewline: false,
    timeout: timeoutMs,
    ...(input === undefined ? { stdin: 'ignore' as const } : { input }),
    ...(env && { env }),
    ...(signal && { cancelSignal: signal }),
  });
  signal?.throwIfAborted();
  if (result.timedOut) throw new Error(`${argv.join(' ')} took longer than ${timeoutMs} ms`);
  if (result.exitCode === undefined && result.signal === undefined)
    throw new Error(`${argv.join(' ')} could not be started: ${result.shortMessage ?? ''}`, { cause: result.cause });
  return { exitCode: result.exitCode ?? 128, stdout: String(result.stdout ?? ''), stderr: String(result.stderr ?? '') };
};

/**
 * Runs a command that has to succeed.
 * @returns Its standard output.
 * @throws Error with the end of its output.
 */
export const runCommand = async (argv: readonly string[], options: CommandOptions = {}): Promise<string> => {
  const { exitCode, stdout, stderr } = await tryCommand(argv, options);
  if (exitCode !== 0) throw new Error(`${argv.join(' ')} ended with ${exitCode}: ${(stderr || stdout).trim().slice(-3000)}`);
  return stdout;
};
