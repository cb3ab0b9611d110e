import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { requestHttp } from '../src/index.js';

const serve = async (listener: RequestListener): Promise<string> => {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // a TCP server's address is this
};

const answering = (status: number, headers: Record<string, string> = {}) =>
  serve((_request, response) => response.writeHead(status, headers).end('body'));

describe('requestHttp', () => {
  it('sends method, headers and body, and gives status, headers and body', async () => {
    const url = await serve(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      response.writeHead(201, { 'content-type': 'application/json', 'x-method': request.method ?? '' });
      response.end(JSON.stringify({ body, token: request.headers['x-token'] }));
    });
    const answer = await requestHttp({ method: 'post', url, headers: { 'x-token': 't' }, body: 'hello' });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('x-method')).toBe('POST');
    expect(answer.json()).toEqual({ body: 'hello', token: 't' });
  });

  it.each([200, 302, 404, 409, 422])('gives %s as a result', async (status) => {
    expect(await requestHttp({ method: 'POST', url: await answering(status, { location: '/x' }) })).toMatchObject({ status });
  });

  it.each([
    ['GET', 401, 'HTTP_ACCESS_REFUSED', 'stop'],
    ['POST', 403, 'HTTP_ACCESS_REFUSED', 'stop'],
    ['GET', 429, 'HTTP_SERVER_BUSY', 'retry'],
    ['POST', 429, 'HTTP_SERVER_BUSY', 'retry'],
    ['GET', 502, 'HTTP_SERVER_BUSY', 'retry'],
    ['GET', 503, 'HTTP_SERVER_BUSY', 'retry'],
    ['POST', 503, 'HTTP_SERVER_BUSY', 'reconcile'],
    ['GET', 500, 'HTTP_SERVER_FAILED', 'retry'],
    ['PUT', 500, 'HTTP_SERVER_FAILED', 'reconcile'],
  ])('makes of %s and %i a %s (%s)', async (method, status, code, recovery) => {
    await expect(requestHttp({ method, url: await answering(status) })).rejects.toMatchObject({ code, recovery });
  });

  it('gives a status that the caller judges itself, with its body', async () => {
    const answer = await requestHttp({ method: 'PUT', url: await answering(500), answers: [403, 500] });
    expect([answer.status, answer.text()]).toEqual([500, 'body']);
    await expect(requestHttp({ url: await answering(502), answers: [500] })).rejects.toMatchObject({ code: 'HTTP_SERVER_BUSY' });
  });

  it('says how long a busy server asks to wait', async () => {
    await expect(requestHttp({ url: await answering(503, { 'retry-after': '17' }) })).rejects.toMatchObject({
      hint: expect.stringContaining('17'),
    });
  });

  it('says retry when there was no connection, whatever the method', async () => {
    const closed = createTcpServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo; // a TCP server's address is this
    await new Promise<void>((resolve) => closed.close(() => resolve()));
    for (const url of [`http://127.0.0.1:${port}/`, 'http://name.invalid/'])
      await expect(requestHttp({ method: 'POST', url })).rejects.toMatchObject({ code: 'HTTP_UNREACHABLE', recovery: 'retry' });
  });

  it.each([
    ['GET', 'retry'],
    ['POST', 'reconcile'],
  ])('says of a %s whose connection broke: %s', async (method, recovery) => {
    const url = await serve((request) => request.socket.destroy());
    await expect(requestHttp({ method, url })).rejects.toMatchObject({ code: 'HTTP_CONNECTION_LOST', recovery });
    const half = await serve((request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => request.socket.destroy());
    });
    await expect(requestHttp({ method, url: half })).rejects.toMatchObject({ code: 'HTTP_CONNECTION_LOST', recovery });
  });

  it.each([
    ['GET', 'retry'],
    ['POST', 'reconcile'],
  ])('says of a %s without an answer in time, or cancelled: %s', async (method, recovery) => {
    const url = await serve((_request, response) => response.write('begins'));
    await expect(requestHttp({ method, url, timeoutMs: 50 })).rejects.toMatchObject({ code: 'HTTP_TIMED_OUT', recovery });
    await expect(requestHttp({ method, url, signal: AbortSignal.timeout(50) })).rejects.toMatchObject({ code: 'HTTP_ABORTED', recovery });
  });

  it('stops at an answer that is too large', async () => {
    const url = await serve((_request, response) => response.end('x'.repeat(2_000)));
    await expect(requestHttp({ url, maxBytes: 1_999 })).rejects.toMatchObject({ code: 'HTTP_ANSWER_TOO_LARGE', recovery: 'stop' });
    expect((await requestHttp({ url, maxBytes: 2_000 })).body.length).toBe(2_000);
  });

  it('names no secret of the address', async () => {
    const url = `${await answering(500)}/path?token=hidden-value`;
    const failure = await requestHttp({ url }).catch((thrown: unknown) => thrown);
    expect(String(failure)).toContain('/path answered 500');
    expect(String(failure)).not.toContain('hidden-value');
  });
});
