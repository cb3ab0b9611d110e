import { mkdir, realpath } from 'node:fs/promises';
import { basename, dirname, relative, resolve } from 'node:path';
import { PluginError, type RunOptions, type RunResult, type Sandbox, type Shell } from '@pipit/core';
import {
  type ConfinedPlace,
  minimalEnvironment,
  openConfinedFile,
  openConfinedFolder,
  openPlainFile,
  readOpenFile,
  runCommand,
  writeConfined,
} from '@pipit/plugin-kit';
import type { OpenCommandOutput } from './command-output.js';

export interface LocalShellOptions {
  readonly folder: string;
  readonly sandbox: Sandbox;
  readonly signal: AbortSignal;
  readonly deadlineMs: number;
  /** The most that is read of one file. */
  readonly maxFileBytes: number;
  readonly openOutput: OpenCommandOutput;
}

/** A path in the shell's folder, where code of a repository may have written every part; undefined for one that lies elsewhere. */
const placeIn = (folder: string, path: string): ConfinedPlace | undefined => {
  const inside = relative(folder, path);
  return inside === '..' || inside.startsWith('../') ? undefined : { root: folder, path: inside };
};

/** A path that the config or a plugin names, such as a repository's root: links on the way are a person's. */
const placeOutside = async (path: string): Promise<ConfinedPlace> => {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  return { root: await realpath(dirname(path)), path: basename(path) };
};

async function* readFileAt(folder: string, path: string, maxBytes: number): AsyncIterable<Uint8Array> {
  const place = placeIn(folder, path);
  const file = await (place === undefined ? openPlainFile(path) : openConfinedFile(place));
  if (file === undefined) throw new PluginError({ code: 'SHELL_FILE_NOT_FOUND', message: `There is no file ${path}`, recovery: 'stop' });
  yield* readOpenFile(file, path, maxBytes);
}

/** A shell on pipit's own machine. What is confined runs in the sandbox and sees of pipit only this folder. */
export const createLocalShell = (options: LocalShellOptions): Shell => {
  const { folder, sandbox, signal, deadlineMs, maxFileBytes, openOutput } = options;
  const at = (path: string): string => resolve(folder, path);
  /** Undefined while something in the folder may not belong to the sandbox's user yet. */
  let given: Promise<void> | undefined;

  /** The sandbox shows the working folder by its real path: one that became a link would show what it leads to. */
  const refuseLinks = async (cwd: string): Promise<void> => {
    const place = placeIn(folder, cwd);
    const opened = place === undefined ? undefined : await openConfinedFolder(place);
    await opened?.close();
  };

  const confine = async (argv: readonly string[], cwd: string, { env, offline }: RunOptions): Promise<ReturnType<Sandbox['confine']>> => {
    // Once for what pipit wrote, and not again for what the code left there since: it may have named files of others.
    given ??= sandbox.giveFolder(folder);
    await given;
    await refuseLinks(cwd);
    // The sandbox brings the minimal environment itself, with the running node on its PATH.
    return sandbox.confine(argv, {
      folder: cwd,
      writable: [folder],
      env: env ?? {},
      ...(offline === true ? { network: 'none' } : {}),
    });
  };

  const run = async (argv: readonly string[], wanted: RunOptions = {}): Promise<RunResult> => {
    const cwd = at(wanted.cwd ?? '.');
    const isConfined = wanted.confined === true;
    const confined = isConfined ? await confine(argv, cwd, wanted) : { argv, env: { ...minimalEnvironment(folder), ...wanted.env } };
    const command = wanted.root === true && process.getuid?.() !== 0 ? ['sudo', '-n', '--', ...confined.argv] : confined.argv;
    const output = openOutput();
    try {
      return await runCommand(command, {
        cwd,
        env: confined.env,
        signal,
        timeoutMs: wanted.timeoutMs ?? deadlineMs,
        onOutput: (text, from) => {
          output.write(text, from);
          wanted.onOutput?.(text, from);
        },
        ...(wanted.input === undefined ? {} : { input: wanted.input }),
      });
    } finally {
      output.end();
      if (!isConfined) given = undefined;
    }
  };

  const write: Shell['write'] = async (path, content, options = {}) => {
    const target = at(path);
    const place = placeIn(folder, target) ?? (await placeOutside(target));
    await writeConfined(place, content, { ...options, signal }).finally(() => {
      given = undefined;
    });
  };

  return { folder, run, write, read: (path) => readFileAt(folder, at(path), maxFileBytes) };
};
