import { spawn } from 'node:child_process';
import type { ServerUser } from './server-user.js';

export interface CommandEnd {
  /** -1 when it could not be started or a signal ended it. */
  readonly exitCode: number;
  /** Both streams' last characters, or why it could not be started. */
  readonly output: string;
}

const KEPT_CHARACTERS = 8_000;

/** The whole environment of the database's processes: pipit's own holds secrets. */
export const SERVER_ENVIRONMENT = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C', TZ: 'UTC' } as const;

/** Runs a command as the database's user to its end; an end is a result and never a throw, save for an abort. */
export const runAs = (
  user: ServerUser | undefined,
  argv: readonly [string, ...string[]],
  options: { readonly signal?: AbortSignal } = {},
): Promise<CommandEnd> => {
  const { signal } = options;
  return new Promise((settle, reject) => {
    const child = spawn(argv[0], argv.slice(1), {
      ...user,
      cwd: '/',
      env: SERVER_ENVIRONMENT,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(signal ? { signal } : {}),
    });
    let output = '';
    const keep = (piece: Buffer): void => {
      output = (output + piece.toString('utf8')).slice(-KEPT_CHARACTERS);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) => (signal?.aborted ? reject(signal.reason) : settle({ exitCode: -1, output: error.message })));
    child.on('close', (code) => settle({ exitCode: code ?? -1, output: output.trim() }));
  });
};
