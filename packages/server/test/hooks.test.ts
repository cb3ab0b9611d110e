import { connect } from 'node:net';
import { PluginError } from '@pipit/core';
import { describe, expect, it } from 'vitest';
import { type RawRequest, rawRequest } from './support/raw-request.js';
import { serve, until } from './support/serve.js';

const MIB = 1024 * 1024;
const delivery = (changes: Partial<RawRequest> & { readonly headers?: Record<string, string> } = {}): RawRequest => ({
  method: 'POST',
  body: '{"ref":"refs/heads/main"}',
  ...changes,
  headers: { 'content-type': 'application/json', 'x-signature': 'right', 'x-delivery': 'one', ...changes.headers },
});
const without = (name: string): RawRequest => {
  const { headers = {}, ...rest } = delivery();
  return { ...rest, headers: Object.fromEntries(Object.entries(headers).filter(([each]) => each !== name)) };
};

describe('a delivery', () => {
  it('is answered 202 with its event, and reaches the plugin byte by byte', async () => {
    const { url, runtime } = await serve();
    const body = Buffer.from('{"ref": "refs/heads/main",\r\n "name": "\u00e9\u{1f680}" }  ');
    const answer = await rawRequest(`${url}/hooks/github?a=1&a=2&token=%20x`, delivery({ body, headers: { 'X-Custom': 'Y' } }));
    expect(answer.status).toBe(202);
    expect(answer.json()).toEqual({ eventIds: ['event-1'], repeated: false });
    const [got] = runtime.delivered;
    expect(Buffer.from(got?.body ?? []).equals(body)).toBe(true);
    expect(got).toMatchObject({ method: 'POST', query: { a: '2', token: ' x' }, remoteAddress: '127.0.0.1' });
    expect(got?.headers).toMatchObject({ 'x-custom': 'Y', 'content-type': 'application/json' });
    expect(runtime.refusals).toEqual([]);
  });

  it('sent 50 times at once goes through unchanged each time, and is one event', async () => {
    const { url, runtime } = await serve();
    const body = JSON.stringify({ padding: 'x'.repeat(200_000) });
    const answers = await Promise.all(Array.from({ length: 50 }, () => rawRequest(`${url}/hooks/github`, delivery({ body }))));
    expect(answers.map((answer) => answer.status)).toEqual(Array.from({ length: 50 }, () => 202));
    expect(new Set(answers.map((answer) => JSON.stringify((answer.json() as { eventIds: unknown }).eventIds)))).toEqual(
      new Set(['["event-1"]']),
    );
    expect(answers.filter((answer) => !(answer.json() as { repeated: boolean }).repeated)).toHaveLength(1);
    expect(runtime.delivered).toHaveLength(50);
    expect(runtime.delivered.every((each) => Buffer.from(each.body).toString() === body)).toBe(true);
  });

  it('comes through whatever else its target says', async () => {
    const { url, runtime } = await serve();
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    const answer: Buffer[] = [];
    socket.on('data', (piece: Buffer) => answer.push(piece));
    // An address that no parser of URLs takes.
    socket.write(
      `POST http://[::bad/hooks/github?a=1 HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Type: application/json\r\nX-Signature: right\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`,
    );
    await until('it is answered', () => socket.closed);
    expect(Buffer.concat(answer).toString()).toMatch(/^HTTP\/1\.1 (?:202|4\d\d) /);
    expect(runtime.delivered.every(({ query }) => query.a === '1')).toBe(true);
  });

  it.each([
    ['as JSON when it is JSON', 'chat', '{"challenge":"abc"}', 'application/json; charset=utf-8'],
    ['as plain text else, so that no browser takes it for a page', 'shy', '<b>thanks</b>', 'text/plain; charset=utf-8'],
  ])('gets the answer that its plugin gave, %s', async (_how, instance, text, type) => {
    const { url } = await serve();
    const answer = await rawRequest(`${url}/hooks/${instance}`, delivery());
    expect(answer).toMatchObject({ status: 200, text });
    expect(answer.headers['content-type']).toBe(type);
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
  });

  it('that is a ping is answered 200, by POST or GET', async () => {
    const { url } = await serve();
    expect(await rawRequest(`${url}/hooks/github`, delivery({ headers: { 'x-event': 'ping' } }))).toMatchObject({
      status: 200,
      text: '{"pinged":true}',
    });
    expect(await rawRequest(`${url}/hooks/chat`, { method: 'GET' })).toMatchObject({ status: 200 });
  });

  it('of 25 MiB is taken', async () => {
    const { url, runtime } = await serve();
    const body = Buffer.from(JSON.stringify('x'.repeat(25 * MIB - 2)));
    expect(body.length).toBe(25 * MIB);
    expect(await rawRequest(`${url}/hooks/github`, delivery({ body }))).toMatchObject({ status: 202 });
    expect(runtime.delivered[0]?.body.length).toBe(25 * MIB);
  });
});

describe('a delivery that is refused', () => {
  const big = Buffer.alloc(26_500_000, 'x');
  const chunks = Array.from({ length: 53 }, () => Buffer.alloc(500_000, 'x'));
  it.each<[string, string, RawRequest, number, string]>([
    ['broken JSON', 'github', delivery({ body: '{"ref":' }), 400, 'FAKE_JSON'],
    ['no signature', 'github', without('x-signature'), 401, 'FAKE_SIGNATURE'],
    ['a wrong signature', 'github', delivery({ headers: { 'x-signature': 'wrong' } }), 403, 'FAKE_SIGNATURE'],
    [
      'another content type',
      'github',
      delivery({ headers: { 'content-type': 'application/x-www-form-urlencoded' } }),
      415,
      'FAKE_CONTENT_TYPE',
    ],
    ['no content type', 'github', without('content-type'), 415, 'FAKE_CONTENT_TYPE'],
    ['a malformed content type', 'github', delivery({ headers: { 'content-type': ';;;' } }), 415, 'CONTENT_TYPE_NOT_TAKEN'],
    ['an unknown instance', 'nobody', delivery(), 404, 'INSTANCE_UNKNOWN'],
    ['26 MB with a content length', 'github', delivery({ body: big }), 413, 'HOOK_BODY_TOO_LARGE'],
    ['26 MB in chunks', 'github', delivery({ body: chunks }), 413, 'HOOK_BODY_TOO_LARGE'],
    ['a name that nothing can have', 'x'.repeat(400), delivery(), 400, 'INVALID_REQUEST'],
  ])('for %s has a code, leaves an audit line and nothing else', async (_what, instance, request, status, code) => {
    const { url, runtime } = await serve();
    const answer = await rawRequest(`${url}/hooks/${instance}`, request);
    expect(answer.status).toBe(status);
    expect(answer.json()).toEqual({ error: expect.objectContaining({ code, message: expect.any(String) }) });
    expect(runtime.delivered).toEqual([]);
    expect(runtime.refusals).toEqual([expect.objectContaining({ remoteAddress: '127.0.0.1', code })]);
  });

  it.each(['PUT', 'HEAD', 'DELETE', 'PATCH', 'OPTIONS'])('for its method %s never reaches a plugin', async (method) => {
    const { url, runtime } = await serve();
    const answer = await rawRequest(`${url}/hooks/github`, { ...delivery(), method });
    expect(answer.status).toBe(405);
    expect(answer.headers.allow).toBe('GET, POST');
    if (method !== 'HEAD') expect(answer.json()).toMatchObject({ error: { code: 'METHOD_NOT_ALLOWED' } });
    expect(runtime.delivered).toEqual([]);
  });

  it('is still answered when it cannot be recorded, and the log says so', async () => {
    const { url, runtime, log } = await serve();
    runtime.recordRefusal = () => Promise.reject(new Error('disk full'));
    expect(await rawRequest(`${url}/hooks/github`, without('x-signature'))).toMatchObject({ status: 401 });
    expect(log).toContainEqual(expect.objectContaining({ level: 'error', message: 'A refusal could not be recorded' }));
  });
});

describe('a flood of refused deliveries', () => {
  it('leaves ten lines a minute, and one that says how many were left out', async () => {
    const { url, runtime, clock } = await serve();
    for (let sent = 0; sent < 60; sent += 1) await rawRequest(`${url}/hooks/github`, without('x-signature'));
    expect(runtime.refusals).toHaveLength(10);
    clock.advance(60_000);
    await rawRequest(`${url}/hooks/github`, without('x-signature'));
    expect(runtime.refusals).toHaveLength(12);
    expect(runtime.refusals[10]).toMatchObject({
      code: 'REFUSALS_LEFT_OUT',
      message: expect.stringMatching(/^50 more refused requests of 127\.0\.0\.1/),
    });
    expect(runtime.refusals[11]).toMatchObject({ code: 'FAKE_SIGNATURE' });
  });

  it('is told of at the end too', async () => {
    const { url, runtime, server } = await serve();
    for (let sent = 0; sent < 12; sent += 1) await rawRequest(`${url}/hooks/github`, without('x-signature'));
    await server.close();
    expect(runtime.refusals.at(-1)).toMatchObject({ code: 'REFUSALS_LEFT_OUT', message: expect.stringMatching(/^2 more/) });
  });
});

describe('a delivery that meets trouble of ours', () => {
  it('is sent away with 503 and a time to come back while the database is away, and that is no refusal', async () => {
    const { url, runtime } = await serve();
    runtime.broken = new PluginError({ code: 'DATABASE_UNAVAILABLE', message: 'The database does not answer', recovery: 'retry' });
    const answer = await rawRequest(`${url}/hooks/github`, delivery());
    expect(answer.status).toBe(503);
    expect(answer.headers['retry-after']).toBe('5');
    expect(answer.json()).toMatchObject({ error: { code: 'DATABASE_UNAVAILABLE' } });
    expect(runtime.refusals).toEqual([]);
  });

  it('is answered 500 with an id and nothing of the inside', async () => {
    const { url, runtime, log } = await serve();
    runtime.broken = new TypeError('cannot read /srv/secret of undefined');
    const answer = await rawRequest(`${url}/hooks/github?token=hush`, delivery());
    expect(answer.status).toBe(500);
    expect(answer.text).not.toMatch(/secret|TypeError|stack/);
    const id = /request ([0-9a-z-]+)/.exec(answer.text)?.[1];
    expect(log).toContainEqual(
      expect.objectContaining({ level: 'error', fields: expect.objectContaining({ requestId: id, err: runtime.broken }) }),
    );
    expect(JSON.stringify(log)).not.toContain('hush');
  });

  it('is sent away with 503 while draining, on a connection that was kept', async () => {
    const { url, runtime, server } = await serve();
    server.drain();
    const answer = await rawRequest(`${url}/hooks/github`, delivery());
    expect(answer.status).toBe(503);
    expect(answer.headers).toMatchObject({ 'retry-after': '5', connection: 'close' });
    expect(answer.json()).toMatchObject({ error: { code: 'SERVER_DRAINING' } });
    expect(runtime.delivered).toEqual([]);
  });

  it('gives back the memory of a sender that went away, and notes whose it was', { timeout: 120_000 }, async () => {
    const { url, runtime } = await serve();
    const port = Number(new URL(url).port);
    // 15 times 20 MiB, each broken off: together more than may be held at once.
    for (let sent = 1; sent <= 15; sent += 1) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(`POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: ${25 * MIB}\r\n\r\n`);
      await new Promise((resolve) => socket.write(Buffer.alloc(20 * MIB), resolve));
      socket.destroy();
    }
    await until('the broken ones are noted', () => runtime.refusals.length === 10, 90_000);
    expect(runtime.refusals[0]).toMatchObject({ code: 'REQUEST_MALFORMED', remoteAddress: '127.0.0.1' });
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        rawRequest(`${url}/hooks/github`, delivery({ body: JSON.stringify('x'.repeat(20 * MIB)), headers: { 'x-delivery': `d${index}` } })),
      ),
    );
    expect(answers.map((answer) => answer.status)).toEqual(Array.from({ length: 8 }, () => 202));
  });

  it('is sent away with 503 when others fill the memory that bodies may take, and taken when they are through', {
    timeout: 120_000,
  }, async () => {
    const { url, runtime } = await serve();
    let release = (): void => undefined;
    runtime.gate = new Promise((resolve) => {
      release = resolve;
    });
    let receiving = 0;
    const receive = runtime.receive.bind(runtime);
    runtime.receive = (...given) => {
      receiving += 1;
      return receive(...given);
    };
    const body = JSON.stringify('x'.repeat(25 * MIB - 2));
    const filling = Array.from({ length: 10 }, () => rawRequest(`${url}/hooks/github`, delivery({ body })));
    await until('ten are held', () => receiving === 10, 90_000);
    const turnedAway = await rawRequest(`${url}/hooks/github`, delivery({ body }));
    expect(turnedAway.status).toBe(503);
    expect(turnedAway.headers['retry-after']).toBe('1');
    expect(turnedAway.json()).toMatchObject({ error: { code: 'HOOK_BODIES_BUSY' } });
    release();
    expect((await Promise.all(filling)).map((answer) => answer.status)).toEqual(Array.from({ length: 10 }, () => 202));
    expect(await rawRequest(`${url}/hooks/github`, delivery({ body }))).toMatchObject({ status: 202 });
    expect(runtime.refusals).toEqual([]);
  });
});
