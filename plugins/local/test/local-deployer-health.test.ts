import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { parseHostAddress } from '@pipit/core';
import { afterEach, expect, it } from 'vitest';
import { tryHealth } from '../src/local-deployer-health.js';
import { trusted } from './hosts-support.js';

let server: Server | undefined;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server?.close();
});

/** A service of whoever can push: it says what it likes, and no proper HTTP server would. */
const check = async (serve: (socket: Socket) => void) => {
  server = createServer((socket) => {
    sockets.push(socket.on('error', () => undefined));
    serve(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const host = { id: 'web1', address: parseHostAddress('127.0.0.1'), available: true, attributes: {} };
  const { signal } = new AbortController();
  return tryHealth({ folder: '/nowhere', host, check: { type: 'http', port, path: '/', withinMs: 60_000 }, sandbox: trusted, signal });
};

/** Writes again and again, as fast as it is read. */
const flood = (socket: Socket, text: string): void => {
  const more = (): void => {
    while (!socket.destroyed && socket.write(text));
  };
  socket.on('drain', more);
  more();
};

it('hangs up on a service that answers with a body without an end', async () => {
  expect(
    await check((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      flood(socket, 'x'.repeat(65_536));
    }),
  ).toBeUndefined();
  const [socket] = sockets;
  if (socket?.destroyed === false) await new Promise((resolve) => socket.once('close', resolve));
});

it.each([
  [
    'that sends its headers drop by drop',
    (socket: Socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      const drops = setInterval(() => socket.write('X'), 200);
      socket.once('close', () => clearInterval(drops));
    },
  ],
  ['that says again and again that it will answer', (socket: Socket) => flood(socket, 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(100))],
])('gives up on a service %s', async (_what, drip) => {
  expect(await check(drip)).toContain('no answer in 2000 ms');
});
