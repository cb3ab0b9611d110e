import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { isPluginError } from '@pipit/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createServer } from '../src/create-server.js';
import { FakeRuntime, TOKEN } from './support/fake-runtime.js';
import { rawRequest } from './support/raw-request.js';
import { serve, until } from './support/serve.js';

const hook = {
  method: 'POST',
  headers: { 'content-type': 'application/json', 'x-signature': 'right', 'x-delivery': 'one' },
  body: '{}',
};

const holdDeliveries = (runtime: FakeRuntime): (() => void) => {
  let release = (): void => undefined;
  runtime.gate = new Promise((resolve) => {
    release = resolve;
  });
  return release;
};

describe('listening', () => {
  it('is on this machine only by default, announced, without a warning', async () => {
    const { url, runtime, server, log } = await serve();
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(server.app.server.address()).toMatchObject({ address: '127.0.0.1' });
    expect(runtime.announced).toBe(url);
    expect(log.filter((line) => line.level === 'warn')).toEqual([]);
  });

  it('elsewhere is warned of, and reached under an address that works here', async () => {
    const { url, log } = await serve({ host: '0.0.0.0' });
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await rawRequest(`${url}/healthz`, { method: 'GET' })).toMatchObject({ status: 200 });
    expect(log).toContainEqual(expect.objectContaining({ level: 'warn', fields: { host: '0.0.0.0' } }));
  });

  it.each([
    ['a port that is taken', (port: number) => ({ port }), 'SERVER_PORT_TAKEN'],
    ['an address of another machine', () => ({ host: '192.0.2.1', port: 0 }), 'SERVER_CANNOT_LISTEN'],
  ])('on %s fails with a code', async (_what, options, code) => {
    const { url, log, clock } = await serve();
    const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
    const other = createServer({ runtime: new FakeRuntime(), logger: quiet, version: '1', clock, ...options(Number(new URL(url).port)) });
    onTestFinished(() => other.close());
    const error: unknown = await other.listen().catch((thrown: unknown) => thrown);
    expect(isPluginError(error) && error.code).toBe(code);
    expect(log.filter((line) => line.level === 'error')).toEqual([]);
  });
});

describe('closing', () => {
  it('answers what is under way, ends live streams and kept connections, and takes nothing new', async () => {
    const { url, runtime, server } = await serve();
    const release = holdDeliveries(runtime);
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    const stream = await fetch(`${url}/api/changes`, { headers: { authorization: `Bearer ${TOKEN}` } });
    const underWay = new Promise<{ status: number | undefined; connection: string | undefined }>((resolve, reject) => {
      const sent = request(`${url}/hooks/github`, { ...hook, agent }, (response) => {
        response.resume();
        response.on('end', () => resolve({ status: response.statusCode, connection: response.headers.connection }));
      });
      sent.on('error', reject);
      sent.end(hook.body);
    });
    const delivering = { isThere: false };
    const receive = runtime.receive.bind(runtime);
    runtime.receive = (...given) => {
      delivering.isThere = true;
      return receive(...given);
    };
    await until('the delivery is under way', () => delivering.isThere);
    let closed = false;
    const closing = server.close({ deadlineMs: 20_000 }).then(() => {
      closed = true;
    });
    await stream.text();
    await until('the port is closed', () => !server.app.server.listening);
    await expect(rawRequest(`${url}/healthz`, { method: 'GET' })).rejects.toThrow(/ECONNREFUSED/);
    expect(closed).toBe(false);
    release();
    expect(await underWay).toEqual({ status: 202, connection: 'close' });
    const began = performance.now();
    await closing;
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  it('cuts what is left at the deadline', async () => {
    const { url, runtime, server, log } = await serve();
    const release = holdDeliveries(runtime);
    onTestFinished(release);
    const hanging = rawRequest(`${url}/hooks/github`, hook).then(
      () => 'answered',
      () => 'cut',
    );
    const half = connect(Number(new URL(url).port), '127.0.0.1');
    half.on('error', () => undefined);
    half.write('POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf');
    await until('both are connected', () => half.readyState === 'open');
    await rawRequest(`${url}/healthz`, { method: 'GET' });
    const began = performance.now();
    await server.close({ deadlineMs: 200 });
    expect(performance.now() - began).toBeLessThan(3_000);
    expect(await hanging).toBe('cut');
    expect(log).toContainEqual(expect.objectContaining({ level: 'warn', message: 'Requests under way were cut off at the deadline' }));
  });

  it('twice is closing once', async () => {
    const { server } = await serve();
    await Promise.all([server.close(), server.close()]);
    await server.close();
  });
});

describe('a sender that does not speak HTTP', () => {
  it('is told so in our shape', async () => {
    const { url } = await serve();
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      let got = '';
      socket.on('data', (bytes) => {
        got += bytes.toString();
      });
      socket.on('close', () => resolve(got));
      socket.on('error', reject);
      socket.write('this is no HTTP\r\n\r\n');
    });
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(text).toContain('"code":"REQUEST_MALFORMED"');
  });
});
