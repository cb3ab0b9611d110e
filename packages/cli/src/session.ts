import type { Logger } from '@pipit/core';
import { createRedactor } from '@pipit/runtime';
import { createLogger, type LogLevel, renderLogLine } from './logger.js';
import { createPaint, type Paint } from './render/paint.js';
import type { World } from './world.js';

/** Options that every command takes. */
export interface GlobalOptions {
  readonly config?: string;
  readonly data?: string;
  readonly server?: string;
  readonly token?: string;
  /** Take the config and the plugins of another user. */
  readonly trust?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

/** One call of the command. */
export interface Session {
  readonly world: World;
  readonly options: GlobalOptions;
  readonly paint: Paint;
  readonly logLevel: LogLevel;
  /** Takes a line of JSON; on stderr, for a person where that is a terminal, without what {@link Session.hide} was told of. */
  readonly writeLog: (line: string) => void;
  /** Writes to {@link Session.writeLog}. */
  readonly logger: Logger;
  /** Keeps a text out of the logs. */
  hide(secret: string): void;
  /** Aborted by the first SIGINT or SIGTERM; a second one ends the process. */
  readonly signal: AbortSignal;
  /** The answer of the command: one JSON document with `--json`, else lines. */
  show(value: unknown, lines: () => readonly string[]): void;
  /** A line of the answer, for those that come one after another. */
  print(line: string): void;
  /** Something beside the answer: on stderr, not with `--quiet` or `--json`. */
  note(line: string): void;
}

export const isColoured = (output: World['stdout'], environment: World['environment']): boolean => {
  if ((environment.NO_COLOR ?? '') !== '') return false;
  if ((environment.FORCE_COLOR ?? '') !== '' && environment.FORCE_COLOR !== '0') return true;
  return output.isTerminal && environment.TERM !== 'dumb';
};

export interface SessionToOpen {
  readonly world: World;
  readonly options: GlobalOptions;
  readonly signal: AbortSignal;
  /** Of what runs in this process; `serve` tells more than a command that only looks. */
  readonly logLevel?: 'info' | 'warn';
}

export const createSession = ({ world, options, signal, logLevel = 'warn' }: SessionToOpen): Session => {
  const isJson = options.json === true;
  const redactor = createRedactor();
  const print = (line: string): void => world.stdout.write(`${line}\n`);
  const level: LogLevel = options.verbose ? 'debug' : options.quiet ? 'error' : logLevel;
  const isRead = world.stderr.isTerminal && !isJson;
  const writeLog = (line: string): void => {
    const redacted = redactor.redact(line);
    world.stderr.write(isRead ? renderLogLine(redacted) : redacted);
  };
  return {
    world,
    options,
    signal,
    paint: createPaint(!isJson && isColoured(world.stdout, world.environment)),
    logLevel: level,
    writeLog,
    logger: createLogger({ level, write: writeLog, now: () => world.now() }),
    show: (value, lines) => {
      if (isJson) print(JSON.stringify(value, null, 2));
      else for (const line of lines()) print(line);
    },
    print,
    hide: (secret) => redactor.register(secret),
    note: (line) => {
      if (!options.quiet && !isJson) world.stderr.write(`${line}\n`);
    },
  };
};
