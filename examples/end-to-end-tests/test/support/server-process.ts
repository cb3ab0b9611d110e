import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { KillOrder, ServerSettings } from './server-settings.js';
import { waitUntil } from './wait-until.js';

type Line = Readonly<Record<string, unknown>>;

export interface ServerProcess {
  readonly pid: number;
  readonly url: string;
  /** The API token, when this process made it. */
  readonly token: string | null;
  /** Every line that it said of itself. */
  readonly lines: readonly Line[];
  /** Its log. */
  log(): string;
  /** Settles with the signal or exit code. */
  readonly ended: Promise<NodeJS.Signals | number>;
  isRunning(): boolean;
  /** Kills itself there, once it passes. Returns when it has heard it, or was killed by an order before. */
  arm(order: KillOrder): Promise<void>;
  /** Takes back the last order; returns as `arm` does. */
  disarm(): Promise<void>;
  kill(): Promise<void>;
  /** As systemd ends it. */
  stop(): Promise<void>;
}

const endOf = (child: ChildProcess): Promise<NodeJS.Signals | number> =>
  new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code ?? -1)));

/** Starts the server program; undefined when it was killed before it listened. */
export const startServerProcess = async (program: string, settings: ServerSettings): Promise<ServerProcess> => {
  const child = spawn(process.execPath, [program, JSON.stringify(settings)], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // Where systemd starts it.
    cwd: '/',
    // Nothing of vitest's.
    env: { PATH: process.env.PATH, HOME: process.env.HOME },
  });
  const lines: Line[] = [];
  const log: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line) as Line)); // the program's own
  child.stderr.on('data', (piece: Buffer) => log.push(piece.toString()));
  child.stdin.on('error', () => undefined); // a killed program reads no more
  let running = true;
  const ended = endOf(child).then((how) => {
    running = false;
    return how;
  });
  const { pid } = child;
  if (pid === undefined) throw new Error('The server program was not started');
  const first = await waitUntil('the server listens', () => {
    const found = lines.find((line) => 'listening' in line);
    if (found !== undefined) return found;
    if (running) return undefined;
    // Told to die at a point that its recovery passes before it listens.
    if (lines.some((line) => 'killedAt' in line)) return {};
    throw new Error(`The server ended before it listened:\n${log.join('')}`);
  });
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await ended;
  };
  const arm = async (order: KillOrder): Promise<void> => {
    child.stdin.write(`${JSON.stringify(order)}\n`);
    await waitUntil('the server is armed', () => (running ? lines.find((line) => line.armed === order.point) : true));
  };
  return {
    pid,
    url: String(first.listening ?? ''),
    token: typeof first.token === 'string' ? first.token : null,
    lines,
    log: () => log.join(''),
    ended,
    isRunning: () => running,
    arm,
    disarm: () => arm({ point: 'nowhere', afterMs: 0 }),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  };
};
