import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Carrier } from './connector.js';
import { createMarkerScanner } from './marker-scanner.js';

export interface SessionOptions {
  readonly carrier: Carrier;
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
  /** Ends this side of it, and nothing else. */
  kill(): void;
}

/** How long output is waited for after the command's end, when a process that it left behind holds the connection open. */
const DRAIN_MS = 1_000;

/** Speaks with the wrapper on the host about one command. */
export const startSession = ({ carrier, nonce, header, input, beginWithinMs, signal, onErrorOutput }: SessionOptions): Session => {
  const { stdin, stdout, stderr, kill } = carrier;
  const scanner = createMarkerScanner(nonce);
  const isStream = input !== undefined && !(input instanceof Uint8Array);
  let isLate = false;
  let failure: unknown;
  let drain: NodeJS.Timeout | undefined;

  const late = setTimeout(() => {
    isLate = true;
    kill();
  }, beginWithinMs);

  let resolveBegun: (hasBegun: boolean) => void = () => undefined;
  const begun = new Promise<boolean>((resolve) => {
    resolveBegun = resolve;
  });

  /** The command has ended: what stands in the pipes comes yet. */
  const conclude = (): void => {
    if (!stdin.destroyed && !isStream) stdin.end(`${nonce}\n`);
    const waitForRest = (seenBytes: number): void => {
      drain = setTimeout(() => {
        const readBytes = carrier.readBytes();
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
    if (given !== '') onErrorOutput?.(given);
    if (!hadEnded && scanner.end() !== undefined) conclude();
  });
  // A command, or what carries it, may end without reading its input.
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

  const ended = carrier.closed.then((end): SessionEnd => {
    clearTimeout(late);
    clearTimeout(drain);
    signal.removeEventListener('abort', kill);
    resolveBegun(false);
    if (end.state === 'notstarted') return end;
    const said = scanner.end();
    if (said !== undefined) return { state: 'ended', said };
    if (scanner.hasBegun()) return { state: 'cut', said: failure instanceof Error ? failure.message : scanner.preamble() };
    return { state: 'failed', said: scanner.preamble(), exitCode: end.exitCode, isLate };
  });
  return { stdout, begun, ended, kill };
};
