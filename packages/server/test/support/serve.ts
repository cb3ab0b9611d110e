import type { Logger } from '@pipit/core';
import { onTestFinished } from 'vitest';
import { createServer, type Server, type ServerOptions } from '../../src/create-server.js';
import { FakeRuntime } from './fake-runtime.js';

export interface LogLine {
  readonly level: keyof Logger;
  readonly fields: object;
  readonly message: string;
}

export interface Served {
  readonly runtime: FakeRuntime;
  readonly server: Server;
  readonly url: string;
  readonly log: readonly LogLine[];
  readonly clock: { now(): Date; advance(ms: number): void };
}

export const createTestClock = (start = Date.parse('2026-03-01T10:00:00Z')): Served['clock'] => {
  let now = start;
  return {
    now: () => new Date(now),
    advance: (ms) => {
      now += ms;
    },
  };
};

/** A server on a real socket of this machine, closed when the test ends. */
export const serve = async (
  options: Partial<Omit<ServerOptions, 'runtime' | 'clock'>> & { readonly runtime?: FakeRuntime; readonly clock?: Served['clock'] } = {},
): Promise<Served> => {
  const { runtime = new FakeRuntime(), clock = createTestClock(), ...rest } = options;
  const log: LogLine[] = [];
  const at = (level: keyof Logger) => (fields: object, message: string) => {
    log.push({ level, fields, message });
  };
  const logger: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const server = createServer({ runtime, port: 0, logger, version: '1.2.3', clock, ...rest });
  const { url } = await server.listen();
  onTestFinished(() => server.close({ deadlineMs: 100 }));
  return { runtime, server, url, log, clock };
};

/** Waits for a condition; fails loudly at the deadline. */
export const until = async (what: string, isSo: () => boolean, deadlineMs = 5_000): Promise<void> => {
  const end = performance.now() + deadlineMs;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`Waited ${deadlineMs} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};
