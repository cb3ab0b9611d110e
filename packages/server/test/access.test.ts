import { connect } from 'node:net';
import Fastify from 'fastify';
import { describe, expect, it } from 'vitest';
import { requireAccessRules } from '../src/access.js';
import { TOKEN, TOKENS } from './support/fake-runtime.js';
import { rawRequest } from './support/raw-request.js';
import { serve, until } from './support/serve.js';

type Who = 'nobody' | keyof typeof TOKENS;
const EVERYBODY: readonly Who[] = ['nobody', 'read', 'deliver', 'admin'];

/** Who may, by route. Generated requests go to every route that the server has, so that a route that is missing here fails. */
const MAY: Readonly<Record<string, readonly Who[]>> = {
  'GET /healthz': EVERYBODY,
  'HEAD /healthz': EVERYBODY,
  'GET /readyz': EVERYBODY,
  'HEAD /readyz': EVERYBODY,
  'POST /hooks/:instance': EVERYBODY,
  'GET /hooks/:instance': EVERYBODY,
  ...Object.fromEntries(
    [
      '/metrics',
      '/openapi.json',
      '/api/apps',
      '/api/runs',
      '/api/runs/:id',
      '/api/runs/:id/log',
      '/api/apps/:app/releases',
      '/api/apps/:app/hosts',
      '/api/events',
      '/api/events/:id',
      '/api/audit',
      '/api/audit/heads',
      '/api/plan',
      '/api/doctor',
      '/api/changes',
    ].map((route) => [`GET ${route}`, ['read', 'deliver', 'admin']]),
  ),
  'POST /api/apps/:app/promote': ['deliver', 'admin'],
  'POST /api/apps/:app/rollback': ['deliver', 'admin'],
  'POST /api/runs/:id/cancel': ['deliver', 'admin'],
  'POST /api/runs/:id/retry': ['deliver', 'admin'],
  'POST /api/reconcile': ['admin'],
  'GET /api/tokens': ['admin'],
  'POST /api/tokens': ['admin'],
  'POST /api/tokens/:name/revoke': ['admin'],
};

const BODIES: Readonly<Record<string, string>> = {
  'POST /api/reconcile': '{"reason":"restored"}',
  'POST /api/tokens': '{"name":"new","preset":"read"}',
};

const fill = (route: string): string =>
  route
    .replace(':instance', 'chat')
    .replace('/runs/:id/retry', '/runs/web-1/retry')
    .replace('/runs/:id', '/runs/web-2')
    .replace('/events/:id', '/events/event-1')
    .replace(':app', 'web')
    .replace(':name', 'ci')
    .replace('/api/plan', '/api/plan?repository=web&ref=main');

const listRoutes = async (): Promise<readonly string[]> => {
  const { server } = await serve();
  const tree = server.app.printRoutes({ commonPrefix: false });
  // One line a path, `├── /api/apps (GET)`, its children indented; the path is the joined pieces.
  const pieces: string[] = [];
  return tree.split('\n').flatMap((line) => {
    const found = /^([│ ]*)[├└]── (\S+?)(?: \(([A-Z, ]+)\))?$/.exec(line);
    if (found === null) return [];
    const [, indent = '', piece = '', methods] = found;
    pieces.splice(indent.length / 4, pieces.length, piece);
    const path = pieces.join('');
    return methods === undefined ? [] : methods.split(', ').map((method) => `${method} ${path}`);
  });
};

describe('who may', () => {
  it('is said for every route that there is', async () => {
    expect([...(await listRoutes())].sort()).toEqual(Object.keys(MAY).sort());
  });

  it.each(Object.entries(MAY).flatMap(([route, may]) => EVERYBODY.map((who) => [route, who, may.includes(who)] as const)))(
    '%s as %s: %s',
    async (route, who, allowed) => {
      const { url, server, runtime } = await serve();
      const [method = '', path = ''] = route.split(' ');
      const body = BODIES[route];
      const asking = rawRequest(`${url}${fill(path)}`, {
        method,
        token: who === 'nobody' ? null : TOKENS[who],
        ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }),
      });
      // The stream of changes is whole when it ends.
      if (path === '/api/changes' && allowed) {
        await until('it follows', () => runtime.followers === 1);
        server.drain();
      }
      const { status } = await asking;
      if (allowed) expect(status).toBeLessThan(300);
      else expect(status).toBe(who === 'nobody' ? 401 : 403);
    },
  );

  it('cannot be left open: a route without a rule is not even registered', () => {
    const app = Fastify();
    requireAccessRules(app);
    expect(() => app.get('/new', async () => 'open')).toThrow(/access rule/);
  });

  it('is recorded when it is refused, with the name of the token', async () => {
    const { url, runtime } = await serve();
    const answer = await rawRequest(`${url}/api/apps/web/promote`, { method: 'POST', token: TOKENS.read });
    expect(answer.json()).toMatchObject({ error: { code: 'RIGHT_MISSING', message: expect.stringContaining('"promote" (web)') } });
    expect(runtime.refusals).toMatchObject([{ code: 'RIGHT_MISSING', message: expect.stringContaining('token:read') }]);
    expect(runtime.commands).toEqual([]);
  });
});

describe('what the config makes public', () => {
  it('is asked for as anyone, and nothing else is', async () => {
    const { url, runtime } = await serve({ publicViews: ['apps'] });
    const status = async (path: string): Promise<number> => (await rawRequest(`${url}${path}`, { method: 'GET', token: null })).status;
    expect(await status('/api/apps')).toBe(200);
    expect(runtime.asked).toEqual([{ name: 'anonymous', origin: '127.0.0.1', preset: 'public' }]);
    for (const path of [
      '/api/runs',
      '/api/runs/web-1',
      '/api/apps/web/hosts',
      '/api/events',
      '/api/audit',
      '/api/runs/web-1/log',
      '/metrics',
    ])
      expect(await status(path), path).toBe(401);
  });

  it('does not make a wrong token right', async () => {
    const { url } = await serve({ publicViews: ['apps', 'runs'], metricsReaders: ['127.0.0.0/8'] });
    for (const path of ['/api/apps', '/api/runs', '/metrics'])
      expect(await rawRequest(`${url}${path}`, { method: 'GET', token: 'wrong' }), path).toMatchObject({ status: 401 });
  });

  it('lets the addresses that it names read the metrics', async () => {
    const open = await serve({ metricsReaders: ['127.0.0.1', '10.0.0.0/8'] });
    const closed = await serve({ metricsReaders: ['10.0.0.0/8', '::1'] });
    const status = async (url: string): Promise<number> => (await rawRequest(`${url}/metrics`, { method: 'GET', token: null })).status;
    expect(await status(open.url)).toBe(200);
    expect(await status(closed.url)).toBe(401);
  });
});

describe('a token that is not valid any more', () => {
  it.each(['expired', 'revoked'] as const)('because it is %s gets the answer of an unknown one, and the record says why', async (why) => {
    const { url, runtime } = await serve();
    runtime.ended.set('old-token', why);
    const [old, unknown] = await Promise.all(
      ['old-token', 'unknown'].map((token) => rawRequest(`${url}/api/apps`, { method: 'GET', token })),
    );
    expect(old).toMatchObject({ status: 401, text: unknown?.text });
    expect(runtime.refusals.map(({ code }) => code).sort()).toEqual([`TOKEN_${why.toUpperCase()}`, 'TOKEN_WRONG']);
    expect(runtime.refusals.find(({ code }) => code !== 'TOKEN_WRONG')?.message).toContain('main');
  });

  it('ends the stream that it follows', async () => {
    const { url, runtime } = await serve({ heartbeatMs: 10 });
    const response = await fetch(`${url}/api/changes`, { headers: { authorization: `Bearer ${TOKEN}` } });
    await until('it follows', () => runtime.followers === 1);
    runtime.ended.set(TOKEN, 'revoked');
    await response.text();
    expect(runtime.followers).toBe(0);
  });
});

describe('wrong tokens', () => {
  it('are answered 429 after twenty, without a look-up, until some time has passed', async () => {
    const { url, runtime, clock } = await serve();
    const ask = (token: string) => rawRequest(`${url}/api/apps`, { method: 'GET', token });
    expect(await ask(TOKENS.read)).toMatchObject({ status: 200 });
    for (let at = 0; at < 20; at += 1) expect(await ask(`wrong-${at}`)).toMatchObject({ status: 401 });
    const { checks } = runtime;
    const refused = await ask('wrong-20');
    expect(refused).toMatchObject({ status: 429, headers: { 'retry-after': '3' } });
    expect(runtime.checks).toBe(checks);
    // Behind the same address, who was right before is not kept out.
    expect(await ask(TOKENS.read)).toMatchObject({ status: 200 });
    clock.advance(3_000);
    expect(await ask('wrong-21')).toMatchObject({ status: 401 });
    expect(await ask('wrong-22')).toMatchObject({ status: 429 });
  });

  it('of one network keep nobody else out', async () => {
    const { url } = await serve({ trustedProxies: ['127.0.0.1'] });
    const ask = (from: string, token: string) =>
      rawRequest(`${url}/api/apps`, { method: 'GET', token, headers: { 'x-forwarded-for': from } });
    for (let at = 0; at < 25; at += 1) await ask('203.0.113.9', `wrong-${at}`);
    expect(await ask('203.0.113.9', TOKENS.read)).toMatchObject({ status: 429 });
    expect(await ask('203.0.113.10', TOKENS.read)).toMatchObject({ status: 200 });
  });
});

describe('the host of a request', () => {
  const ask = async (head: string, options: Parameters<typeof serve>[0] = {}): Promise<string> => {
    const { url } = await serve(options);
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    let text = '';
    socket.on('data', (piece: Buffer) => {
      text += piece.toString();
    });
    socket.on('error', () => undefined);
    socket.write(head.replaceAll('\n', '\r\n').replace('TOKEN', TOKEN));
    await until('it is answered', () => text.includes('\r\n\r\n') || socket.closed);
    socket.destroy();
    return text.split(' ')[1] ?? '';
  };
  const get = (host: string) => `GET /api/apps HTTP/1.1\nHost: ${host}\nAuthorization: Bearer TOKEN\nConnection: close\n\n`;

  it.each([
    'localhost',
    'LOCALHOST:1',
    'localhost.',
    '127.0.0.1:7420',
    '127.9.9.9',
    '[::1]:80',
    'pipit.example.org',
    'pipit:8080',
    '[2001:db8::1]',
  ])('may be %s', async (host) => {
    const options = { publicUrl: 'https://pipit.example.org/at', hosts: ['pipit', '2001:db8::1'] };
    expect(await ask(get(host), options)).toBe('200');
  });

  it.each([
    'evil.example.org',
    'localhost.evil.example.org',
    '127.0.0.1.evil.example.org',
    '127.evil.example.org',
    '127.1',
    '0x7f.0.0.1',
    'evil.example.org:7420',
    '192.0.2.1',
    '[::2]',
    'pipit.example.org.evil',
  ])('is refused as %s', async (host) => {
    expect(await ask(get(host), { publicUrl: 'https://pipit.example.org' })).toBe('421');
  });

  it.each([
    ['nothing', 'GET /api/apps HTTP/1.1\nAuthorization: Bearer TOKEN\n\n'],
    ['nothing in HTTP/1.0', 'GET /api/apps HTTP/1.0\nAuthorization: Bearer TOKEN\n\n'],
    ['two names', 'GET /api/apps HTTP/1.1\nHost: localhost\nHost: evil.example.org\nAuthorization: Bearer TOKEN\n\n'],
    ['an empty name', get('')],
    ['a name with a user', get('localhost@evil.example.org')],
    ['a path', get('localhost/x')],
    ['two names in one', get('localhost, evil.example.org')],
  ])('is refused as %s', async (_what, head) => {
    expect(await ask(head)).toBe('400');
  });

  it('counts in the target too', async () => {
    const absolute = (target: string) => `GET ${target} HTTP/1.1\nHost: localhost\nAuthorization: Bearer TOKEN\nConnection: close\n\n`;
    expect(await ask(absolute('http://localhost/api/apps'))).toBe('200');
    expect(await ask(absolute('http://evil.example.org/api/apps'))).toBe('421');
  });

  it('is not believed when a header says that it was another', async () => {
    const head = (host: string, forwarded: string) =>
      `GET /api/apps HTTP/1.1\nHost: ${host}\nX-Forwarded-Host: ${forwarded}\nAuthorization: Bearer TOKEN\nConnection: close\n\n`;
    expect(await ask(head('evil.example.org', 'localhost'))).toBe('421');
    expect(await ask(head('evil.example.org', 'localhost'), { trustedProxies: ['127.0.0.1'] })).toBe('421');
  });

  it('does not matter to hooks, which verify each delivery, and to probes', async () => {
    expect(await ask('POST /hooks/chat HTTP/1.1\nHost: evil.example.org\nContent-Length: 0\nConnection: close\n\n')).toBe('200');
    expect(await ask('GET /healthz HTTP/1.0\n\n')).toBe('200');
  });
});

describe('a page of somebody else', () => {
  it('gets no leave from a browser to read or to change anything', async () => {
    const { url, runtime } = await serve();
    const headers = { origin: 'https://evil.example.org', 'sec-fetch-site': 'cross-site', 'content-type': 'text/plain' };
    const post = await rawRequest(`${url}/api/apps/web/promote`, { method: 'POST', token: null, headers, body: '{}' });
    expect(post).toMatchObject({ status: 401 });
    const preflight = await rawRequest(`${url}/api/apps/web/promote`, {
      method: 'OPTIONS',
      token: null,
      headers: { ...headers, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
    });
    expect(preflight.status).toBe(405);
    const read = await rawRequest(`${url}/api/apps`, { method: 'GET', headers });
    for (const answer of [post, preflight, read])
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    expect(runtime.commands).toEqual([]);
  });
});

describe('a body where none is taken', () => {
  it.each([
    ['a length', { body: 'x' }],
    ['chunks', { body: [Buffer.from('x')] }],
  ])('is refused by %s', async (_what, given) => {
    const { url } = await serve();
    const answer = await rawRequest(`${url}/api/apps`, { method: 'GET', ...given });
    expect(answer).toMatchObject({ status: 400, headers: { connection: 'close' } });
  });
});

describe('live streams', () => {
  it('are at most fifty of one network', async () => {
    const { url, runtime } = await serve();
    const controller = new AbortController();
    const open = () => fetch(`${url}/api/changes`, { headers: { authorization: `Bearer ${TOKEN}` }, signal: controller.signal });
    const opened = await Promise.all(Array.from({ length: 50 }, open));
    expect(opened.every(({ status }) => status === 200)).toBe(true);
    const refused = await open();
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('30');
    controller.abort();
    await until('all places are free', () => runtime.followers === 0);
  });
});
