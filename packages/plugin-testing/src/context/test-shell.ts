import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname, resolve } from 'node:path';
import { PluginError, type RunOptions, type RunResult, type Shell } from '@pipit/core';

/** The environment that every shell of pipit begins with; the machine's own is never passed on. */
export const minimalEnvironment = (folder: string): Readonly<Record<string, string>> => ({
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LANG: 'C.UTF-8',
  HOME: folder,
});

const MAX_OUTPUT_CHARACTERS = 1_048_576;
const DEFAULT_TIMEOUT_MS = 60_000;

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const run = async (folder: string, argv: readonly string[], options: RunOptions, signal: AbortSignal | undefined): Promise<RunResult> => {
  const [program = '', ...rest] = argv;
  const child = spawn(program, rest, {
    cwd: resolve(folder, options.cwd ?? '.'),
    env: { ...minimalEnvironment(folder), ...options.env },
    detached: true, // a process group of its own, so that its children are ended too
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] = (output[name] + text).slice(-MAX_OUTPUT_CHARACTERS);
      options.onOutput?.(text);
    });
  const timeout = AbortSignal.timeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const stop = AbortSignal.any(signal === undefined ? [timeout] : [timeout, signal]);
  const end = (): void => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
  };
  stop.addEventListener('abort', end, { once: true });
  child.stdin.on('error', () => {}); // a command that ends without reading its input is no failure
  child.stdin.end(options.input ?? '');
  try {
    const ended = await new Promise<Ended>((resolvePromise, reject) => {
      child.on('error', reject);
      child.on('close', (code, by) => resolvePromise({ code, signal: by }));
      if (stop.aborted) end();
    });
    if (signal?.aborted === true)
      throw new PluginError({ code: 'COMMAND_ABORTED', message: `${program} was cancelled`, recovery: 'reconcile', cause: signal.reason });
    if (stop.aborted) throw new PluginError({ code: 'COMMAND_TIMED_OUT', message: `${program} took too long`, recovery: 'reconcile' });
    return { exitCode: ended.code ?? 128 + (ended.signal === null ? 0 : constants.signals[ended.signal]), ...output };
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) throw cause;
    throw new PluginError({
      code: 'COMMAND_NOT_FOUND',
      message: `There is no program ${program}, or no folder to run it in`,
      recovery: 'stop',
      cause,
    });
  } finally {
    stop.removeEventListener('abort', end);
  }
};

async function* read(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) throw cause;
    throw new PluginError({ code: 'SHELL_FILE_NOT_FOUND', message: `There is no file ${path}`, recovery: 'stop', cause });
  }
}

/**
 * A shell that really runs commands, in a folder of this machine. `root` and `confined` change nothing: commands run as whoever runs
 * the test.
 *
 * @param folder an absolute path of a folder that exists; the test removes it
 * @param options `signal`: ends what runs, as the signal of the call does that a real shell belongs to
 */
export const createTestShell = (folder: string, { signal }: { readonly signal?: AbortSignal } = {}): Shell => ({
  folder,
  run: (argv, options = {}) => run(folder, argv, options, signal),
  write: async (path, content, options) => {
    const target = resolve(folder, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, content);
    if (options?.mode !== undefined) await chmod(target, options.mode);
  },
  read: (path) => read(resolve(folder, path)),
});
