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

const run = (folder: string, argv: readonly string[], options: RunOptions): Promise<RunResult> =>
  new Promise((resolvePromise, reject) => {
    const [command, ...rest] = argv;
    if (command === undefined) throw new TypeError('A command needs at least its name');
    const child = spawn(command, rest, {
      cwd: resolve(folder, options.cwd ?? '.'),
      env: { ...minimalEnvironment(folder), ...options.env },
      detached: true, // a process group of its own, so that the timeout ends its children too
    });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (text: string) => {
        output[name] = (output[name] + text).slice(-MAX_OUTPUT_CHARACTERS);
        options.onOutput?.(text);
      });
    const timer = setTimeout(() => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    }, options.timeoutMs ?? 60_000);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolvePromise({ exitCode: code ?? 128 + (signal === null ? 0 : constants.signals[signal]), ...output });
    });
    child.stdin.on('error', () => {}); // a command that ends without reading its input is no failure
    child.stdin.end(options.input ?? '');
  });

async function* read(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) throw cause;
    throw new PluginError({ code: 'SHELL_FILE_NOT_FOUND', message: `There is no file ${path}`, recovery: 'stop', cause });
  }
}

/**
 * A shell that really runs commands, in a folder of this machine. `root` and `confined` are taken note of by nothing: commands run as
 * whoever runs the test.
 *
 * @param folder an absolute path of a folder that exists; the test removes it
 */
export const createTestShell = (folder: string): Shell => ({
  folder,
  run: (argv, options = {}) => run(folder, argv, options),
  write: async (path, content, options) => {
    const target = resolve(folder, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, content);
    if (options?.mode !== undefined) await chmod(target, options.mode);
  },
  read: (path) => read(resolve(folder, path)),
});
