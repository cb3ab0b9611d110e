import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { PluginError, type RunOptions, type RunResult, type Sandbox, type Shell } from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';

const toStream = (content: string | AsyncIterable<Uint8Array>): Readable =>
  typeof content === 'string' ? Readable.from([Buffer.from(content)]) : Readable.from(content);

async function* readFileAt(path: string): AsyncIterable<Uint8Array> {
  try {
    for await (const chunk of createReadStream(path)) yield chunk as Uint8Array; // without an encoding the stream gives buffers
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // node's file errors have a code
    throw new PluginError({ code: 'SHELL_FILE_NOT_FOUND', message: `There is no file ${path}`, recovery: 'stop', cause: error });
  }
}

export interface LocalShellOptions {
  readonly folder: string;
  readonly sandbox: Sandbox;
  readonly signal: AbortSignal;
  readonly deadlineMs: number;
  readonly onOutput: (text: string) => void;
}

/** A shell on pipit's own machine. What is confined runs in the sandbox and sees of pipit only this folder. */
export const createLocalShell = ({ folder, sandbox, signal, deadlineMs, onOutput }: LocalShellOptions): Shell => {
  const at = (path: string): string => resolve(folder, path);
  const run = async (argv: readonly string[], options: RunOptions = {}): Promise<RunResult> => {
    const cwd = at(options.cwd ?? '.');
    if (options.confined === true) await sandbox.giveFolder(folder);
    // The sandbox brings the minimal environment itself, with the running node on its PATH.
    const confined =
      options.confined === true
        ? sandbox.confine(argv, { folder: cwd, writable: [folder], env: options.env ?? {} })
        : { argv, env: { ...minimalEnvironment(folder), ...options.env } };
    const command = options.root === true && process.getuid?.() !== 0 ? ['sudo', '-n', '--', ...confined.argv] : confined.argv;
    return runCommand(command, {
      cwd,
      env: confined.env,
      signal,
      timeoutMs: options.timeoutMs ?? deadlineMs,
      onOutput: (text) => {
        onOutput(text);
        options.onOutput?.(text);
      },
      ...(options.input === undefined ? {} : { input: options.input }),
    });
  };
  return {
    folder,
    run,
    write: async (path, content, options = {}) => {
      await mkdir(dirname(at(path)), { recursive: true });
      await pipeline(toStream(content), createWriteStream(at(path)), { signal });
      if (options.mode !== undefined) await chmod(at(path), options.mode);
    },
    read: (path) => readFileAt(at(path)),
  };
};
