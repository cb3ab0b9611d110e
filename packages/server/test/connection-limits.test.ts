import { EventEmitter } from 'node:events';
import type { Server } from 'node:http';
import { describe, expect, it } from 'vitest';
import { limitConnections } from '../src/connection-limits.js';

/** As much of a socket as the limit looks at. */
class FakeSocket extends EventEmitter {
  isDestroyed = false;
  constructor(readonly remoteAddress: string) {
    super();
  }
  destroy(): void {
    this.isDestroyed = true;
    this.emit('close');
  }
}

const prepare = (trustedProxies: readonly string[] = []) => {
  const server = new EventEmitter();
  const warnings: string[] = [];
  const silent = { debug: () => undefined, info: () => undefined, error: () => undefined };
  limitConnections(server as unknown as Server, {
    trustedProxies,
    logger: { ...silent, warn: (_fields, message) => void warnings.push(message) },
  });
  const connect = (address: string): FakeSocket => {
    const socket = new FakeSocket(address);
    server.emit('connection', socket);
    return socket;
  };
  const flood = (address: string, count: number): number =>
    Array.from({ length: count }, () => connect(address)).filter((socket) => socket.isDestroyed).length;
  return { server, warnings, connect, flood };
};

describe('connections', () => {
  it('are at most 200 of one network, whichever of its addresses they come from, and any number of others', () => {
    const { connect, flood, warnings, server } = prepare();
    expect(flood('2001:db8::1', 150)).toBe(0);
    expect(flood('2001:db8::2', 100)).toBe(50);
    expect(flood('203.0.113.9', 200)).toBe(0);
    expect(connect('203.0.113.10').isDestroyed).toBe(false);
    // Fifty were refused, and one line says so.
    expect(warnings).toHaveLength(1);
    expect(server).toMatchObject({ maxConnections: 3_000 });
  });

  it('make room when they are closed', () => {
    const { connect, flood } = prepare();
    const first = connect('203.0.113.9');
    expect(flood('203.0.113.9', 200)).toBe(1);
    first.destroy();
    expect(connect('203.0.113.9').isDestroyed).toBe(false);
  });

  it('of this machine and of trusted proxies are not counted: they speak for many', () => {
    const { flood } = prepare(['192.0.2.0/24']);
    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '192.0.2.7', '::ffff:192.0.2.7']) expect(flood(address, 300)).toBe(0);
  });

  it('that say nothing give way to new ones when all places are taken, and requests that are answered do not', () => {
    const { connect, flood, server } = prepare();
    const answered = connect('127.0.0.1');
    const response = new EventEmitter();
    server.emit('request', { socket: answered, complete: true }, response);
    const silent = connect('127.0.0.1');
    const slow = connect('127.0.0.1');
    server.emit('request', { socket: slow, complete: false }, new EventEmitter());
    expect(flood('127.0.0.1', 1_997)).toBe(0);
    expect([answered, silent, slow].map(({ isDestroyed }) => isDestroyed)).toEqual([false, false, false]);
    expect(flood('127.0.0.1', 2)).toBe(0);
    expect([answered, silent, slow].map(({ isDestroyed }) => isDestroyed)).toEqual([false, true, true]);
    response.emit('close');
    expect(connect('127.0.0.1').isDestroyed).toBe(false);
    expect(answered.isDestroyed).toBe(true);
  });

  it('are refused when each place is taken by a request that is answered', () => {
    const { connect, server } = prepare();
    for (let count = 0; count < 2_000; count += 1)
      server.emit('request', { socket: connect('127.0.0.1'), complete: true }, new EventEmitter());
    expect(connect('127.0.0.1').isDestroyed).toBe(true);
  });
});
