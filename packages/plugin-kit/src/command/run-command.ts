import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { type Labels, type OutputStream, PluginError, type RunResult } from '@pipit/core';
import { execa } from 'execa';
import { startFailure } from './missing-program.js';
import { createOutputTail } from './output-tail.js';
import { endProcessGroup } from './process-group.js';

export interface CommandOptions {
  /** An existing folder. */
  readonly cwd: string;
  /** The whole environment: nothing is inherited. See {@link minimalEnvironment}. */
  readonly env: Labels;
  /** Written to standard input, which is empty without it. */
  readonly input?: string;
  readonly signal?: AbortSignal;
  /** Milliseconds; no limit without it. */
  readonly timeoutMs?: number;
  /** Called with each piece of standard output and standard error as it comes. */
  readonly onOutput?: (text: string, from: OutputStream) => void;
  readonly uid?: number;
  readonly gid?: number;
}

/** How long output is waited for after the program's end, when a process that it left behind holds the pipe open. */
const DRAIN_MS = 500;

const exitCodeOf = (code: number | null, signal: NodeJS.Signals | null): number =>
  signal === null ? (code ?? 1) : 128 + constants.signals[signal];

const collect = (
  stream: Readable,
  from: OutputStream,
  onOutput: CommandOptions['onOutput'],
): { readonly text: () => string; readonly ended: Promise<void> } => {
  const tail = createOutputTail();
  const decoder = new TextDecoder();
  stream.on('data', (chunk: Buffer) => {
    tail.add(chunk);
    const text = onOutput === undefined ? '' : decoder.decode(chunk, { stream: true });
    if (text !== '') onOutput?.(text, from);
  });
  // An error of a pipe that was cut is its end.
  const ended = new Promise<void>((resolve) => {
    stream.once('close', resolve);
    stream.once('error', () => resolve());
  });
  return { text: tail.text, ended };
};

/**
 * Runs a program of this machine to its end, in a process group of its own. A non-zero exit is a result, with 128 + n when signal n ended it.
 *
 * @param argv the program and its arguments; no shell reads them
 * @throws PluginError `COMMAND_NOT_FOUND`, `COMMAND_FOLDER_MISSING`, `COMMAND_NOT_STARTED`, `COMMAND_EMPTY` (stop);
 * `COMMAND_TIMED_OUT`, `COMMAND_ABORTED` (reconcile) after the whole process group was ended
 */
export const runCommand = async (argv: readonly string[], options: CommandOptions): Promise<RunResult> => {
  const [program, ...args] = argv;
  if (program === undefined || program === '')
    throw new PluginError({ code: 'COMMAND_EMPTY', message: 'A command without a program was to be run', recovery: 'stop' });
  const { signal } = options;
  const isAborted = (): boolean => signal?.aborted === true;
  const aborted = (): PluginError =>
    new PluginError({ code: 'COMMAND_ABORTED', message: `${program} was cancelled`, recovery: 'reconcile', cause: signal?.reason });
  if (isAborted()) throw aborted();

  const child = execa(program, args, {
    cwd: options.cwd,
    env: { ...options.env },
    extendEnv: false,
    // A group of its own, so that a time-out or abort ends what the program started too.
    detached: true,
    reject: false,
    buffer: false,
    stdin: options.input === undefined ? 'ignore' : 'pipe',
    ...(options.uid === undefined ? {} : { uid: options.uid }),
    ...(options.gid === undefined ? {} : { gid: options.gid }),
  });
  const { pid, stdout, stderr } = child;
  if (pid === undefined || stdout === null || stderr === null) {
    const failed = await child;
    throw await startFailure(program, options.cwd, failed.originalMessage === undefined ? failed : (failed.cause ?? failed));
  }
  // The result is made from the events below: execa's own waits for processes that were left behind.
  void child.catch(() => undefined);
  const collected = [collect(stdout, 'stdout', options.onOutput), collect(stderr, 'stderr', options.onOutput)] as const;
  // A program may end without reading its input.
  child.stdin?.on('error', () => undefined).end(options.input);

  let timedOut = false;
  const end = () => void endProcessGroup(pid).catch(() => undefined);
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          end();
        }, options.timeoutMs);
  signal?.addEventListener('abort', end, { once: true });
  try {
    const exitCode = await new Promise<number>((resolve) => child.once('exit', (code, by) => resolve(exitCodeOf(code, by))));
    let drain: NodeJS.Timeout | undefined;
    await Promise.race([
      Promise.all(collected.map((stream) => stream.ended)),
      new Promise<void>((resolve) => {
        // All that the program itself said stands in the pipes. In a busy process the time may be over before they were looked at: a turn of the
        // event loop reads them.
        drain = setTimeout(() => setImmediate(resolve), DRAIN_MS);
      }),
    ]);
    clearTimeout(drain);
    stdout.destroy();
    stderr.destroy();
    if (timedOut)
      throw new PluginError({
        code: 'COMMAND_TIMED_OUT',
        message: `${program} ran longer than ${options.timeoutMs} ms and was ended`,
        recovery: 'reconcile',
      });
    if (isAborted()) throw aborted();
    return { exitCode, stdout: collected[0].text(), stderr: collected[1].text() };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
  }
};
