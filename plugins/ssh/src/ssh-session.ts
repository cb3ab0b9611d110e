import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { minimalEnvironment } from '@pipit/plugin-kit';
import { createMarkerScanner } from './marker-scanner.js';

export interface SessionOptions {
  /** ssh with its arguments, the command's text last. */
  readonly argv: readonly string[];
  /** An existing folder, where ssh runs. */
  readonly folder: string;
  readonly nonce: string;
  readonly header: Uint8Array;
  readonly input?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Milliseconds until the wrapper on the host has to say that the command begins. */
  readonly beginWithinMs: number;
  readonly signal: AbortSignal;
  /** Called with each piece of the command's standard error. */
  readonly onErrorOutput?: (text: string) => void;
}

export type SessionEnd =
  /** `said` is the exit code, or the wrapper's reason why there is none. */
  | { readonly state: 'ended'; readonly said: string }
  /** The connection was lost after the command began. */
  | { readonly state: 'cut'; readonly said: string }
  /** No command began. `isLate`: the host did not answer in time. */
  | { readonly state: 'failed'; readonly said: string; readonly exitCode: number; readonly isLate: boolean }
  /** There is no such program on this machine, or it cannot be started. */
  | { readonly state: 'notstarted'; readonly cause: unknown };

/** One command on one host, under way. */
export interface Session {
  /** The command's standard output. It waits for whoever reads it. */
  readonly stdout: Readable;
  /** Whether the command began: true as soon as it did, false when it is sure that it will not. */
  readonly begun: Promise<boolean>;
  /** Never rejects. It needs stdout to be read. */
  readonly ended: Promise<SessionEnd>;
  /** Ends the local ssh, and nothing else. */
  kill(): void;
}

/** How long output is waited for after the command's end, when a process that it left behind holds the connection open. */
const DRAIN_MS = 1_000;
const KILL_AFTER_MS = 2_000;

/** A child's standard output is a socket, which counts what it has read. */
const countRead = (stream: Readable): number => ('bytesRead' in stream && typeof stream.bytesRead === 'number' ? stream.bytesRead : 0);

/** Starts one ssh in a process group of its own. A connection that it opened for others as well lives on in a process that is no child of it. */
export const startSession = (options: SessionOptions): Session => {
  const { argv, folder, nonce, header, input, signal } = options;
  const [program = 'ssh', ...args] = argv;
  const child = spawn(program, args, { cwd: folder, env: { ...minimalEnvironment(folder) }, detached: true, stdio: 'pipe' });
  const { stdin, stdout, stderr } = child;
  const scanner = createMarkerScanner(nonce);
  const isStream = input !== undefined && !(input instanceof Uint8Array);
  let isLate = false;
  let failure: unknown;
  let drain: NodeJS.Timeout | undefined;
  let last: NodeJS.Timeout | undefined;

  const signalGroup = (by: NodeJS.Signals): void => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid, by);
    } catch {
      // It ended between the two lines.
    }
  };
  const kill = (): void => {
    signalGroup('SIGTERM');
    last ??= setTimeout(() => signalGroup('SIGKILL'), KILL_AFTER_MS);
  };
  const late = setTimeout(() => {
    isLate = true;
    kill();
  }, options.beginWithinMs);

  let resolveBegun: (hasBegun: boolean) => void = () => undefined;
  const begun = new Promise<boolean>((resolve) => {
    resolveBegun = resolve;
  });

  /** The command has ended: what stands in the pipes comes yet. */
  const conclude = (): void => {
    if (!stdin.destroyed && !isStream) stdin.end(`${nonce}\n`);
    const waitForRest = (seenBytes: number): void => {
      drain = setTimeout(() => {
        const readBytes = countRead(stdout);
        // Output that nobody has taken yet is still on its way.
        if (readBytes !== seenBytes || stdout.readableLength > 0) waitForRest(readBytes);
        else kill();
      }, DRAIN_MS);
    };
    waitForRest(-1);
  };

  stderr.setEncoding('utf8').on('data', (text: string) => {
    const wasBegun = scanner.hasBegun();
    const hadEnded = scanner.end() !== undefined;
    const given = scanner.add(text);
    if (!wasBegun && scanner.hasBegun()) {
      clearTimeout(late);
      resolveBegun(true);
    }
    if (given !== '') options.onErrorOutput?.(given);
    if (!hadEnded && scanner.end() !== undefined) conclude();
  });
  // A command, or ssh itself, may end without reading its input.
  stdin.on('error', () => undefined);
  stdin.write(header);
  if (isStream)
    void begun
      // Only then: a stream can be read once, and the next try needs it whole.
      .then((hasBegun) => (hasBegun ? pipeline(input, stdin) : undefined))
      .catch((thrown: unknown) => {
        failure ??= thrown;
        kill();
      });
  else if (input !== undefined) stdin.write(input);

  signal.addEventListener('abort', kill, { once: true });
  if (signal.aborted) kill();

  const ended = new Promise<SessionEnd>((resolve) => {
    const finish = (end: SessionEnd): void => {
      clearTimeout(late);
      clearTimeout(drain);
      clearTimeout(last);
      signal.removeEventListener('abort', kill);
      resolveBegun(false);
      resolve(end);
    };
    child.once('error', (cause) => finish({ state: 'notstarted', cause }));
    // A connection that stays open for others may hold the pipe of messages for as long.
    child.once('exit', () => {
      last = setTimeout(() => stderr.destroy(), DRAIN_MS);
    });
    child.once('close', (code, by) => {
      const said = scanner.end();
      if (said !== undefined) finish({ state: 'ended', said });
      else if (scanner.hasBegun()) finish({ state: 'cut', said: failure instanceof Error ? failure.message : scanner.preamble() });
      else finish({ state: 'failed', said: scanner.preamble(), exitCode: by === null ? (code ?? 255) : 255, isLate });
    });
  });
  return { stdout, begun, ended, kill };
};
