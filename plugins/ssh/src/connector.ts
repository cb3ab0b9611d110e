import type { Readable, Writable } from 'node:stream';
import type { HostAddress } from '@pipit/core';

export type CarrierEnd =
  | { readonly state: 'closed'; readonly exitCode: number }
  /** There is no such program on this machine, or it cannot be started. */
  | { readonly state: 'notstarted'; readonly cause: unknown };

/** The three streams of a text that a host's shell was given, whatever brings them there. */
export interface Carrier {
  readonly stdin: Writable;
  /** It waits for whoever reads it. */
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Bytes of standard output that have come so far. */
  readBytes(): number;
  /** Ends this side; the wrapper on the host notices. Repeating it is harmless. */
  kill(): void;
  /** Never rejects. It needs the streams to be read. */
  readonly closed: Promise<CarrierEnd>;
}

/** No text was given to the host, and why: in ssh's own words, for `classifyFailure`. */
export class ConnectFailed extends Error {
  override readonly name = 'ConnectFailed';
  /** Whether the host did not answer in time. */
  readonly isLate: boolean;

  constructor(said: string, options: { readonly isLate?: boolean; readonly cause?: unknown } = {}) {
    super(said, { cause: options.cause });
    this.isLate = options.isLate ?? false;
  }
}

/** One way over ssh: opens a connection to a host once, and shares it between commands. */
export interface Connector {
  /**
   * Gives a text to the shell of a host.
   *
   * @param limits.withinMs until then the host has to take it
   * @throws ConnectFailed
   */
  start(
    address: HostAddress,
    text: string,
    limits: { readonly withinMs: number; readonly signal: AbortSignal },
  ): Carrier | Promise<Carrier>;
  /** Ends the shared connection of a host that does not answer through it any more. */
  forget(address: HostAddress): Promise<void>;
  /** Closes every connection that stays open. */
  dispose(): Promise<void>;
}
