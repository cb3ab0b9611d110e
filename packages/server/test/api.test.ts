import { PluginError } from '@pipit/core';
import { describe, expect, it } from 'vitest';
import { TOKEN } from './support/fake-runtime.js';
import { type RawRequest, rawRequest } from './support/raw-request.js';
import { serve } from './support/serve.js';

const post = (changes: Partial<RawRequest> = {}): RawRequest => ({
  method: 'POST',
  ...changes,
  headers: {
    ...(changes.body === undefined ? {} : { 'content-type': 'application/json' }),
    ...changes.headers,
  },
});

describe('what changes state', () => {
  it.each<[string, Record<string, string>, string]>([
    ['no token', {}, 'TOKEN_MISSING'],
    ['a wrong token', { authorization: 'Bearer wrong' }, 'TOKEN_WRONG'],
    ['the token in another scheme', { authorization: `Basic ${TOKEN}` }, 'TOKEN_WRONG'],
    ['an empty token', { authorization: 'Bearer ' }, 'TOKEN_WRONG'],
    ['a token of a megabyte less than the headers may have', { authorization: `Bearer ${'x'.repeat(8000)}` }, 'TOKEN_WRONG'],
  ])('is refused with %s, on record, whatever the body', async (_what, headers, code) => {
    const { url, runtime } = await serve();
    for (const path of ['/api/apps/web/promote', '/api/apps/web/rollback', '/api/runs/web-1/cancel', '/api/reconcile']) {
      const answer = await rawRequest(`${url}${path}`, {
        method: 'POST',
        token: null,
        headers: { ...headers, 'content-type': 'application/json' },
        body: '{',
      });
      expect(answer.status).toBe(401);
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer realm="pipit"/);
      expect(answer.json()).toMatchObject({ error: { code, hint: expect.stringContaining('Authorization') } });
    }
    expect(runtime.commands).toEqual([]);
    expect(runtime.refusals).toHaveLength(4);
    expect(runtime.refusals[0]).toMatchObject({ instance: 'api', code, remoteAddress: '127.0.0.1' });
    expect(JSON.stringify(runtime.refusals)).not.toContain(TOKEN);
  });

  it("is done in the name of the token, from the caller's address", async () => {
    const { url, runtime } = await serve();
    const answer = await rawRequest(`${url}/api/apps/web/promote`, post({ body: '{"ring":"production","reason":"looks good"}' }));
    expect(answer).toMatchObject({ status: 202 });
    expect(answer.json()).toMatchObject({ runId: 'web-2', ring: 'production' });
    expect(runtime.commands).toEqual([
      {
        actor: { name: 'token:main', origin: '127.0.0.1', preset: 'admin' },
        name: 'promote',
        command: { app: 'web', ring: 'production', reason: 'looks good' },
      },
    ]);
  });

  it('believes a forwarded address from a proxy that it was told of, and from nobody else', async () => {
    const told = await serve({ trustedProxies: ['127.0.0.1'] });
    const untold = await serve();
    for (const { url } of [told, untold])
      await rawRequest(`${url}/api/apps/web/rollback`, post({ headers: { 'x-forwarded-for': '203.0.113.9' } }));
    expect(told.runtime.commands[0]?.actor.origin).toBe('203.0.113.9');
    expect(untold.runtime.commands[0]?.actor.origin).toBe('127.0.0.1');
  });

  it.each([undefined, '', '{}'])('takes the body %j where nothing has to be said', async (body) => {
    const { url } = await serve();
    expect(await rawRequest(`${url}/api/apps/web/promote`, post(body === undefined ? {} : { body }))).toMatchObject({ status: 202 });
  });

  it.each<[string, string, string, Partial<RawRequest>, number, string, RegExp]>([
    ['a version, which promote does not choose', 'web/promote', 'apps', { body: '{"version":"9"}' }, 400, 'INVALID_REQUEST', /version/],
    ['a number for a ring', 'web/promote', 'apps', { body: '{"ring":7}' }, 400, 'INVALID_REQUEST', /ring in the body: .*string/],
    ['broken JSON', 'web/promote', 'apps', { body: '{"ring":' }, 400, 'INVALID_JSON', /JSON/],
    ['a list', 'web/promote', 'apps', { body: '[]' }, 400, 'INVALID_REQUEST', /the body: .*object/],
    ['a poisoned prototype', 'web/promote', 'apps', { body: '{"__proto__":{"ring":"x"}}' }, 400, 'INVALID_JSON', /JSON/],
    ['a body of 100 kB', 'web/promote', 'apps', { body: JSON.stringify({ reason: 'x'.repeat(100_000) }) }, 413, 'BODY_TOO_LARGE', /larger/],
    [
      'a form',
      'web/promote',
      'apps',
      { body: 'ring=x', headers: { 'content-type': 'text/plain' } },
      415,
      'CONTENT_TYPE_NOT_TAKEN',
      /content type/,
    ],
    ['an unknown query', 'web/promote?force=1', 'apps', {}, 400, 'INVALID_REQUEST', /force/],
    ['an unknown app', 'nope/promote', 'apps', {}, 404, 'APP_UNKNOWN', /nope/],
    ['an unknown ring', 'web/promote', 'apps', { body: '{"ring":"nowhere"}' }, 404, 'RING_UNKNOWN', /nowhere/],
    ['a canary that changed', 'web/promote', 'apps', { body: '{"ifCanary":"0.1"}' }, 409, 'PROMOTION_OVERTAKEN', /Not now/],
    ['nothing to go back to', 'web/rollback', 'apps', { body: '{"ring":"canary"}' }, 409, 'ROLLBACK_NO_RELEASE', /Not now/],
    ['a run that ended', 'web-1/cancel', 'runs', {}, 409, 'RUN_ENDED', /Not now/],
    ['an unknown run', 'web-99/cancel', 'runs', {}, 404, 'RUN_UNKNOWN', /web-99/],
  ])('says what is wrong with %s', async (_what, path, group, changes, status, code, message) => {
    const { url } = await serve();
    const answer = await rawRequest(`${url}/api/${group}/${path}`, post(changes));
    expect(answer.json()).toEqual({ error: expect.objectContaining({ code, message: expect.stringMatching(message) }) });
    expect(answer.status).toBe(status);
  });

  it('needs a reason to lift a quarantine', async () => {
    const { url } = await serve();
    const refused = await rawRequest(`${url}/api/reconcile`, post());
    expect(refused.status).toBe(400);
    expect(refused.json()).toMatchObject({ error: { code: 'INVALID_REQUEST', message: expect.stringContaining('reason in the body') } });
    expect(await rawRequest(`${url}/api/reconcile`, post({ body: '{"reason":"restored"}' }))).toMatchObject({ status: 200 });
  });
});

describe('what is read', () => {
  it('comes in pages that meet without a gap', async () => {
    const { url, runtime } = await serve();
    const seen: number[] = [];
    let before = '';
    let pages = 0;
    do {
      const answer = await rawRequest(`${url}/api/audit?limit=200${before}`, { method: 'GET' });
      const page = answer.json() as { rows: { sequence: number }[]; next: string | null };
      seen.push(...page.rows.map((row) => row.sequence));
      before = page.next === null ? '' : `&before=${page.next}`;
      pages += 1;
    } while (before !== '');
    expect(pages).toBe(3);
    expect(seen).toEqual(runtime.audit.map((row) => row.sequence));
  });

  it.each([
    ['runs?limit=0', /limit in the query/],
    ['runs?limit=201', /limit in the query: .*200/],
    ['runs?limit=1.5', /limit in the query/],
    ['runs?limit=ten', /limit in the query/],
    ['runs?limit=', /limit in the query/],
    ['runs?limit=1&limit=2', /limit in the query/],
    ['runs?state=asleep', /state in the query/],
    ['runs?colour=red', /colour/],
    ['audit?before=', /before in the query/],
    ['plan?ref=main', /repository in the query/],
    ['runs/web-1/log?maxBytes=-1', /maxBytes in the query/],
    [`runs/${'x'.repeat(400)}`, /id in the path/],
    ['apps/%C2%85/hosts', /app in the path: .*control/],
    ['plan?repository=web&ref=%0d%0a', /ref in the query: .*control/],
    ['audit?before=%01', /before in the query: .*control/],
    ['runs/web-1/log?step=%1b', /step in the query: .*control/],
    ['runs/web-1/log?maxBytes=1e999', /maxBytes in the query/],
    ['runs?limit=99999999999999999999', /limit in the query/],
  ])('is refused with the reason for %s', async (path, message) => {
    const { url } = await serve();
    const answer = await rawRequest(`${url}/api/${path}`, { method: 'GET' });
    expect(answer.status).toBe(400);
    expect(answer.json()).toMatchObject({ error: { code: 'INVALID_REQUEST', message: expect.stringMatching(message) } });
  });

  it.each<[string, string, number, string]>([
    ['GET', '/api/nothing', 404, 'ROUTE_UNKNOWN'],
    ['GET', '/', 404, 'ROUTE_UNKNOWN'],
    ['GET', '/api/runs/web-99', 404, 'RUN_UNKNOWN'],
    ['GET', '/api/events/event-99', 404, 'EVENT_UNKNOWN'],
    ['GET', '/api/apps/nope/hosts', 404, 'APP_UNKNOWN'],
    ['PUT', '/api/runs', 405, 'METHOD_NOT_ALLOWED'],
    ['GET', '/api/apps/web/promote', 405, 'METHOD_NOT_ALLOWED'],
    ['GET', '/api/runs/%E0%A4%A', 400, 'INVALID_TEXT'],
  ])('%s %s is answered %i %s', async (method, path, status, code) => {
    const { url } = await serve();
    const answer = await rawRequest(`${url}${path}`, { method });
    expect(answer.json()).toMatchObject({ error: { code } });
    expect(answer.status).toBe(status);
  });

  it.each<[unknown, number, string]>([
    [new PluginError({ code: 'INVALID_REF', message: 'No ref', recovery: 'stop' }), 400, 'INVALID_REF'],
    [new PluginError({ code: 'DATABASE_UNAVAILABLE', message: 'Away', recovery: 'retry' }), 503, 'DATABASE_UNAVAILABLE'],
    [
      new PluginError({ code: 'SOMETHING_ELSE', message: 'As things are', recovery: 'stop', cause: new Error('inside') }),
      409,
      'SOMETHING_ELSE',
    ],
    [new Error('inside'), 500, 'INTERNAL_ERROR'],
    ['inside', 500, 'INTERNAL_ERROR'],
    [Object.assign(new Error('inside'), { statusCode: 502 }), 500, 'INTERNAL_ERROR'],
  ])('turns %s into %i', async (broken, status, code) => {
    const { url, runtime } = await serve();
    runtime.broken = broken;
    const answer = await rawRequest(`${url}/api/apps`, { method: 'GET' });
    expect(answer.status).toBe(status);
    expect(answer.json()).toMatchObject({ error: { code } });
    expect(answer.text).not.toContain('inside"');
    expect(answer.text).not.toMatch(/cause|stack/);
  });

  it('is data: no page, no cache, no frame', async () => {
    const { url } = await serve();
    for (const path of ['/api/apps', '/api/nothing', '/healthz', '/openapi.json', '/api/changes?after=x']) {
      const { headers } = await rawRequest(`${url}${path}`, { method: 'GET' });
      expect(headers, path).toMatchObject({
        'cache-control': 'no-store',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
      });
    }
  });
});
