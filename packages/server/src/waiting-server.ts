import { createServer as createHttpServer, type ServerResponse } from 'node:http';
import type { DatabaseAbsence } from '@pipit/runtime';
import { SECURITY_HEADERS } from './security-headers.js';

export interface WaitingServerOptions {
  readonly host: string;
  readonly port: number;
  readonly version: string;
}

export interface WaitingServer {
  /** Shows why pipit is not ready; listens from the first time on. */
  show(absence: DatabaseAbsence): Promise<void>;
  /** Gives the port back. */
  close(): Promise<void>;
}

/** When a sender may come back. Senders such as GitHub wait longer. */
const RETRY_AFTER_SECONDS = 5;
/** Nothing is read but the first line. */
const MAX_HEADER_BYTES = 16_384;

const answer = (response: ServerResponse, status: number, body: object): void => {
  const text = JSON.stringify(body);
  const headers = { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text) };
  const retry = status === 503 ? { 'retry-after': String(RETRY_AFTER_SECONDS) } : {};
  response.writeHead(status, { ...SECURITY_HEADERS, ...headers, ...retry, connection: 'close' }).end(text);
};

/**
 * Stands in for the server while a start waits for its database: probes get their answer, and all else 503, so that a sender comes back and a person
 * who asks `/readyz` reads why. A port that is taken is left to the server itself, whose start then says so.
 */
export const createWaitingServer = ({ host, port, version }: WaitingServerOptions): WaitingServer => {
  let absence: DatabaseAbsence | undefined;
  let listening: Promise<boolean> | undefined;
  const server = createHttpServer({ maxHeaderSize: MAX_HEADER_BYTES, requestTimeout: 10_000 }, (request, response) => {
    request.resume();
    const path = (request.url ?? '').split('?')[0];
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (isRead && path === '/healthz') return answer(response, 200, { status: 'ok', version });
    const detail = absence?.reason ?? 'pipit starts';
    if (isRead && path === '/readyz') {
      const checks = [{ name: 'database', ok: false, detail }];
      return answer(response, 503, { ready: false, draining: false, database: false, quarantine: null, checks, databaseAway: absence });
    }
    const message = 'pipit is starting and waits for its database';
    return answer(response, 503, {
      error: { code: 'DATABASE_UNAVAILABLE', message, hint: '/readyz says since when and why. Send it again later.' },
    });
  });

  const listen = (): Promise<boolean> =>
    new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, host, () => resolve(true));
    });

  return {
    show: async (shown) => {
      absence = shown;
      listening ??= listen();
      await listening;
    },
    close: async () => {
      if (listening === undefined || !(await listening)) return;
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
};
