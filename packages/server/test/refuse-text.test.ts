import { connect } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TOKEN } from './support/fake-runtime.js';
import { rawRequest } from './support/raw-request.js';
import { serve } from './support/serve.js';

const BAD = ['%00', 'a%00b', '%ed%a0%80', '%ED%BF%BF', '%c0%80', '%ff', '%e9', '%f8%88%80%80%80', '%c3'];

/** Every path with a parameter and some without, as GET takes them. */
const PATHS = [
  '/hooks/X',
  '/api/runs/X',
  '/api/runs/X/log',
  '/api/apps/X/releases',
  '/api/apps/X/hosts',
  '/api/events/X',
  '/nothing/X',
  '/X',
];
const QUERIES = [
  '/api/runs?app=X',
  '/api/runs?X=1',
  '/api/runs?before=X',
  '/api/events?before=X',
  '/api/audit?before=X',
  '/api/plan?repository=X&ref=refs/heads/main',
  '/api/plan?repository=web&ref=X',
  '/api/changes?runId=X',
  '/hooks/github?token=X',
  '/healthz?X',
  '/metrics?X',
];

const isRefused = { status: 400, code: 'INVALID_TEXT' };
const brief = ({ status, json }: Awaited<ReturnType<typeof rawRequest>>) => ({
  status,
  code: (json() as { error?: { code?: string } }).error?.code,
});

describe('text that cannot be stored unchanged', () => {
  it('is refused in every path and query with 400, and never reaches the runtime', async () => {
    const { url, runtime } = await serve();
    for (const path of [...PATHS, ...QUERIES])
      for (const bad of BAD)
        expect({ path, bad, ...brief(await rawRequest(url + path.replace('X', bad), { method: 'GET' })) }).toEqual({
          path,
          bad,
          ...isRefused,
        });
    // The refused hooks are on record, under no name that holds such text.
    expect(new Set(runtime.refusals.map(({ instance, code }) => `${instance} ${code}`))).toEqual(
      new Set(['? INVALID_TEXT', 'github INVALID_TEXT']),
    );
  });

  it.each([
    ['a zero character in a reason', '{"reason":"a\\u0000"}'],
    ['half a character in a reason', '{"reason":"\\ud83d"}'],
    ['a pair the wrong way round', '{"reason":"\\ude00\\ud83d"}'],
    ['it in a name', '{"ring":"\\u0000"}'],
    ['it in a name that is not taken', '{"a\\u0000":1}'],
    ['it deep within', `{"reason":${'['.repeat(30_000)}"\\u0000"${']'.repeat(30_000)}}`],
    ['bytes that are not UTF-8', Buffer.from('{"reason":"a\xed\xa0\x80"}', 'latin1')],
    ['a byte of Latin-1', Buffer.from('{"reason":"\xe9"}', 'latin1')],
  ])('is refused in the body of every command: %s', async (_what, body) => {
    const { url, runtime } = await serve();
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    for (const path of ['/api/apps/web/promote', '/api/apps/web/rollback', '/api/runs/web-1/cancel', '/api/reconcile'])
      expect(brief(await rawRequest(url + path, { method: 'POST', headers, body }))).toEqual(isRefused);
    expect(runtime.commands).toEqual([]);
  });

  it('is not all that looks like it', async () => {
    const { url, runtime } = await serve();
    for (const fine of ['%2500', '%25ed%25a0%2580', '%5Cu0000', '%ef%bf%bd', '%F0%9F%98%80', '%', '%zz', '%u0000'])
      expect((await rawRequest(`${url}/hooks/github?token=${fine}`, { method: 'GET' })).text).not.toContain('INVALID_TEXT');
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const reason = '\u212b e\u0301 \ufb01 😀 \\u0000 \u0001';
    await rawRequest(`${url}/api/apps/web/promote`, { method: 'POST', headers, body: JSON.stringify({ reason }) });
    expect(runtime.commands[0]?.command).toMatchObject({ reason });
  });

  it('does not come through in headers: HTTP forbids it', async () => {
    const { url, runtime } = await serve();
    const { hostname, port } = new URL(url);
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(Number(port), hostname, () =>
        socket.write('POST /hooks/github HTTP/1.1\r\nhost: x\r\nx-delivery: a\0b\r\ncontent-length: 0\r\n\r\n'),
      );
      let text = '';
      socket.on('data', (piece) => {
        text += piece.toString();
      });
      socket.on('close', () => resolve(text));
    });
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(runtime.delivered).toEqual([]);
  });

  it('of any kind breaks nothing', async () => {
    const { url } = await serve();
    const byte = fc.integer({ min: 0, max: 255 }).map((code) => `%${code.toString(16).padStart(2, '0')}`);
    const part = fc.array(fc.oneof(byte, fc.constantFrom('%', '%0', '/', '?', '&', '=', '+', ';', '..', 'a')), {
      minLength: 1,
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...PATHS, ...QUERIES), part, async (path, parts) => {
        const { status } = await rawRequest(url + path.replace('X', parts.join('')), { method: 'GET' });
        expect(status).toBeLessThan(500);
      }),
      { numRuns: 150 },
    );
  });
});
