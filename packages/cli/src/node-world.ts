import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, readdir } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { createInterface } from 'node:readline/promises';
import type { WriteStream } from 'node:tty';
import { PluginError } from '@pipit/core';
import { createLogger, renderLogLine } from './logger.js';
import { nodeBackend } from './node-backend.js';
import { startSignalWatchdog } from './signal-watchdog.js';
import type { Environment, Terminal, World } from './world.js';

/** What a pipe is taken to be. */
const DEFAULT_SIZE = { columns: 100, rows: 40 } as const;

const openTerminal = (stream: WriteStream, environment: Environment): Terminal => {
  const isTerminal = stream.isTTY === true;
  // A CI's log keeps every line, so nothing may be drawn over there.
  const isLive = isTerminal && (environment.CI ?? '') === '' && environment.TERM !== 'dumb';
  return {
    isTerminal,
    isLive,
    get columns() {
      return isTerminal ? stream.columns : DEFAULT_SIZE.columns;
    },
    get rows() {
      return isTerminal ? stream.rows : DEFAULT_SIZE.rows;
    },
    write: (text) => void stream.write(text),
  };
};

const askPerson = async (question: string, fallback: string): Promise<string> => {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await reader.question(`${question} [${fallback}]: `);
    return answer.trim() === '' ? fallback : answer.trim();
  } finally {
    reader.close();
  }
};

const readVersion = (): string => {
  const manifest: { version: string } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')); // our own file
  return manifest.version;
};

/** A container may run as a user without a name. */
const userName = (): string => {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
};

const enterEmptyFolder = async (path: string): Promise<void> => {
  await mkdir(path, { recursive: true });
  const [found] = await readdir(path);
  if (found !== undefined)
    throw new PluginError({
      code: 'CLI_FOLDER_NOT_EMPTY',
      message: `${path}, in which pipit works, is not empty: it holds ${found}`,
      hint: 'Look who put that there, and remove it. Pipit keeps nothing in this folder.',
      recovery: 'stop',
    });
  await chmod(path, 0o500);
  process.chdir(path);
};

/** This process and the real packages. */
export const createNodeWorld = (): World => {
  const environment = process.env;
  const isAnswered = process.stdin.isTTY === true && process.stderr.isTTY === true && (environment.CI ?? '') === '';
  return {
    version: readVersion(),
    environment,
    folder: process.cwd(),
    user: userName(),
    stdout: openTerminal(process.stdout, environment),
    stderr: openTerminal(process.stderr, environment),
    ...(isAnswered ? { ask: askPerson } : {}),
    now: () => new Date(),
    onSignal: (listener) => {
      process.on('SIGINT', listener);
      process.on('SIGTERM', listener);
      const { isTTY: isTerminal = false } = process.stderr;
      const writeLog = (line: string) => void process.stderr.write(isTerminal ? renderLogLine(line) : line);
      const logger = createLogger({ level: 'warn', write: writeLog, now: () => new Date() });
      const stopWatchdog = startSignalWatchdog({
        isTerminal,
        onUnavailable: (reason) =>
          logger.warn({ reason }, 'No thread watches for signals: should the event loop be blocked, only SIGKILL ends pipit'),
      });
      return () => {
        stopWatchdog();
        process.off('SIGINT', listener);
        process.off('SIGTERM', listener);
      };
    },
    exitNow: (code) => process.exit(code),
    setUmask: (mask) => void process.umask(mask),
    enterEmptyFolder,
    randomText: (bytes) => randomBytes(bytes).toString('hex'),
    backend: nodeBackend,
  };
};
