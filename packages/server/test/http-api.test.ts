import { createServer as createHttpServer } from 'node:http';
import { isPluginError } from '@pipit/core';
import type { Api, Change } from '@pipit/runtime';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createHttpApi } from '../src/client/http-api.js';
import { FakeRuntime, TOKEN } from './support/fake-runtime.js';
import { VERSION } from './support/rows.js';
import { serve, until } from './support/serve.js';

interface Subject {
  readonly api: Api;
  readonly runtime: FakeRuntime;
}

const inProcess = async (): Promise<Subject> => {
  const runtime = new FakeRuntime();
  return { runtime, api: runtime.api({ name: 'token:main', origin: '127.0.0.1', preset: 'admin' }) };
};
const overHttp = async (): Promise<Subject> => {
  const { runtime, url } = await serve();
  return { runtime, api: createHttpApi({ url: `${url}/`, token: TOKEN }) };
};

const thrownBy = async (call: Promise<unknown>): Promise<object> => {
  const thrown: unknown = await call.then(
    () => new Error('did not throw'),
    (error: unknown) => error,
  );
  if (!isPluginError(thrown)) throw thrown;
  const { code, message, hint, recovery } = thrown;
  return { code, message, hint, recovery };
};

const collect = (api: Api, options: Omit<Parameters<Api['follow']>[0], 'signal'> = {}) => {
  const controller = new AbortController();
  const changes: Change[] = [];
  let thrown: unknown;
  const done = (async () => {
    for await (const change of api.follow({ ...options, signal: controller.signal })) changes.push(change);
  })().catch((error: unknown) => {
    thrown = error;
  });
  const stop = async (): Promise<void> => {
    controller.abort();
    await done;
  };
  onTestFinished(stop);
  return { changes, stop, done, thrown: () => thrown };
};

describe.each([
  ['in process', inProcess],
  ['over HTTP', overHttp],
])('the Api %s', (_how, create) => {
  it('answers every question with the same', async () => {
    const { api } = await create();
    const { api: expected } = await inProcess();
    const questions: readonly ((of: Api) => Promise<unknown>)[] = [
      (of) => of.listApps(),
      (of) => of.listRuns(),
      (of) => of.listRuns({ limit: 1 }),
      (of) => of.listRuns({ app: 'web', state: 'ended', limit: 5 }),
      (of) => of.listRuns({ before: 'web-3' }),
      (of) => of.listRuns({ app: 'no/such app?' }),
      (of) => of.showRun('web-1'),
      (of) => of.readLog({ runId: 'web-1' }),
      (of) => of.readLog({ runId: 'web-1', operationId: 'web-1:build:2', step: 'a b', maxBytes: 10 }),
      (of) => of.listReleases({ app: 'web', limit: 200 }),
      (of) => of.listHosts({ app: 'web' }),
      (of) => of.listHosts({ app: 'web', role: 'worker' }),
      (of) => of.listEvents(),
      (of) => of.showEvent('event-5'),
      (of) => of.listAudit({ limit: 3, before: '440' }),
      (of) => of.plan({ repository: 'https://git.example.org/acme/web.git', ref: 'refs/heads/a&b=c' }),
      (of) => of.plan({ repository: 'acme/web', ref: 'main', commit: 'c'.repeat(40) }),
      (of) => of.doctor(),
      (of) => of.promote({ app: 'web', role: 'app', ring: 'production', ifCanary: VERSION, reason: 'good "news" \u{1f680}' }),
      (of) => of.rollback({ app: 'web' }),
      (of) => of.cancel({ runId: 'web-2', reason: 'mistaken' }),
      (of) => of.reconcile({ reason: 'restored' }),
      (of) => of.listTokens(),
      (of) => of.createToken({ name: 'ci', preset: 'read', expiresInMs: 1000 }),
      (of) => of.createToken({ name: 'ci', preset: 'deliver', expiresInMs: null }),
      (of) => of.revokeToken({ name: 'ci' }),
    ];
    for (const ask of questions) expect(await ask(api), String(ask)).toEqual(await ask(expected));
  });

  it('passes a command on whole, in the name of who asked', async () => {
    const { api, runtime } = await create();
    const promote = { app: 'web', role: 'app', ring: 'production', ifCanary: VERSION, reason: 'good' };
    await api.promote(promote);
    await api.cancel({ runId: 'web-2' });
    const actor = { name: 'token:main', origin: '127.0.0.1', preset: 'admin' };
    expect(runtime.commands).toEqual([
      { actor, name: 'promote', command: promote },
      { actor, name: 'cancel', command: { runId: 'web-2' } },
    ]);
  });

  it.each<[string, (api: Api) => Promise<unknown>, string]>([
    ['an unknown run', (api) => api.showRun('../audit'), 'RUN_UNKNOWN'],
    ['an unknown app', (api) => api.listHosts({ app: 'no/pe' }), 'APP_UNKNOWN'],
    ['an unknown event', (api) => api.showEvent('%2e'), 'EVENT_UNKNOWN'],
    ['a conflict', (api) => api.promote({ app: 'web', ifCanary: '0.1' }), 'PROMOTION_OVERTAKEN'],
    ['an ended run', (api) => api.cancel({ runId: 'web-1' }), 'RUN_ENDED'],
  ])('throws for %s the same error', async (_what, ask, code) => {
    const { api } = await create();
    const { api: expected } = await inProcess();
    const error = await thrownBy(ask(api));
    expect(error).toMatchObject({ code, hint: expect.any(String), recovery: 'stop' });
    expect(error).toEqual(await thrownBy(ask(expected)));
  });

  it('follows changes from now on, of one run or all, until told to stop', async () => {
    const { api, runtime } = await create();
    runtime.change('web-1');
    const all = collect(api);
    const one = collect(api, { runId: 'web-2' });
    const since = collect(api, { after: 0 });
    await until('all three follow', () => runtime.followers === 3);
    for (const run of ['web-1', 'web-2']) runtime.change(run);
    await until('all have come', () => all.changes.length === 2 && one.changes.length === 1 && since.changes.length === 3);
    expect(all.changes).toEqual([
      { id: 2, runId: 'web-1' },
      { id: 3, runId: 'web-2' },
    ]);
    expect(one.changes).toEqual([{ id: 3, runId: 'web-2' }]);
    for (const each of [all, one, since]) {
      await each.stop();
      expect(each.thrown()).toBeUndefined();
    }
    await until('nobody follows', () => runtime.followers === 0);
  });
});

describe('following over HTTP', () => {
  it('goes on without a gap when the connection breaks', async () => {
    const { runtime, url, server } = await serve();
    const followed = collect(createHttpApi({ url, token: TOKEN }));
    await until('it follows', () => runtime.followers === 1);
    runtime.change('web-1');
    await until('one came', () => followed.changes.length === 1);
    server.app.server.closeAllConnections();
    await until('it has noticed', () => runtime.followers === 0);
    runtime.change('web-2');
    await until('the missed one came', () => followed.changes.length === 2);
    runtime.change('web-3');
    await until('all came', () => followed.changes.length === 3);
    expect(followed.changes.map((change) => change.runId)).toEqual(['web-1', 'web-2', 'web-3']);
  });

  it('looks at every run again when nothing had come before the connection broke', async () => {
    const { runtime, url, server } = await serve();
    const followed = collect(createHttpApi({ url, token: TOKEN }));
    const ofOne = collect(createHttpApi({ url, token: TOKEN }), { runId: 'web-2' });
    await until('both follow', () => runtime.followers === 2);
    server.app.server.closeAllConnections();
    await until('both have come back', () => followed.changes.length === 3 && ofOne.changes.length === 1);
    expect(followed.changes.map((change) => change.runId)).toEqual(['web-3', 'web-2', 'web-1']);
    expect(ofOne.changes.map((change) => change.runId)).toEqual(['web-2']);
  });

  it('survives a restart of the server, whose numbers begin anew', async () => {
    const first = await serve();
    const port = Number(new URL(first.url).port);
    for (const run of ['a', 'b', 'c']) first.runtime.change(run);
    const followed = collect(createHttpApi({ url: first.url, token: TOKEN }), { runId: 'web-2', after: 3 });
    await until('it follows', () => first.runtime.followers === 1);
    first.runtime.change('web-2');
    await until('one came', () => followed.changes.length === 1);
    await first.server.close({ deadlineMs: 500 });
    first.clock.advance(1000);
    const second = await serve({ port, clock: first.clock });
    await until('it says to look again', () => followed.changes.length === 2);
    await until('it follows the new one', () => second.runtime.followers === 1);
    second.runtime.change('web-2');
    await until('a change of the new one came', () => followed.changes.length === 3);
    expect(followed.changes).toEqual([
      { id: 4, runId: 'web-2' },
      { id: 4, runId: 'web-2' },
      { id: 1, runId: 'web-2' },
    ]);
  });

  it('does not take the number it was given for one of a server that was restarted', async () => {
    const first = await serve();
    for (const run of ['a', 'b', 'c']) first.runtime.change(run);
    const followed = collect(createHttpApi({ url: first.url, token: TOKEN }), { runId: 'web-2', after: 3 });
    await until('it follows', () => first.runtime.followers === 1);
    await first.server.close({ deadlineMs: 500 });
    first.clock.advance(1000);
    const second = await serve({ port: Number(new URL(first.url).port), clock: first.clock });
    await until('it follows the new one', () => second.runtime.followers === 1);
    second.runtime.change('web-2');
    await until('both came', () => followed.changes.length === 2);
    expect(followed.changes).toEqual([
      { id: 3, runId: 'web-2' },
      { id: 1, runId: 'web-2' },
    ]);
  });

  it('connects anew when nothing comes any more, not even a sign of life', async () => {
    const { runtime, url } = await serve({ heartbeatMs: 60_000 });
    let opened = 0;
    const counting: typeof fetch = (...given) => {
      opened += String(given[0]).includes('/api/changes') ? 1 : 0;
      return fetch(...given);
    };
    const followed = collect(createHttpApi({ url, token: TOKEN, silenceMs: 50, fetch: counting }), { runId: 'web-1' });
    await until('it connected three times', () => opened >= 3);
    await followed.stop();
    await until('nobody follows', () => runtime.followers === 0);
  });

  it('gives up with a reason when the server stays away', async () => {
    const { url, server, runtime } = await serve();
    const followed = collect(createHttpApi({ url, token: TOKEN, reconnectForMs: 300 }));
    await until('it follows', () => runtime.followers === 1);
    await server.close({ deadlineMs: 200 });
    await followed.done;
    expect(await thrownBy(Promise.reject(followed.thrown()))).toMatchObject({ code: 'SERVER_UNREACHABLE' });
  });

  it('throws at once what the server refuses, and when there is no server', async () => {
    const { url, server } = await serve();
    const refused = collect(createHttpApi({ url, token: TOKEN }), { runId: 'web-99' });
    await refused.done;
    expect(await thrownBy(Promise.reject(refused.thrown()))).toMatchObject({ code: 'RUN_UNKNOWN' });
    await server.close();
    const nobody = collect(createHttpApi({ url, token: TOKEN }));
    await nobody.done;
    expect(await thrownBy(Promise.reject(nobody.thrown()))).toMatchObject({ code: 'SERVER_UNREACHABLE' });
  });
});

describe('the Api over HTTP', () => {
  const answerWith = async (status: number, headers: Record<string, string>, body: string): Promise<string> => {
    const server = createHttpServer((_request, response) => {
      response.writeHead(status, headers);
      response.end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const address = server.address();
    return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  };

  it('says which token is missing or wrong', async () => {
    const { url } = await serve();
    expect(await thrownBy(createHttpApi({ url }).promote({ app: 'web' }))).toMatchObject({ code: 'TOKEN_MISSING' });
    expect(await thrownBy(createHttpApi({ url, token: 'wrong' }).promote({ app: 'web' }))).toMatchObject({ code: 'TOKEN_WRONG' });
  });

  it('says that a question may be asked again, and that a command may have been heard, when nobody answers', async () => {
    const { url, server } = await serve();
    await server.close();
    const api = createHttpApi({ url, token: TOKEN });
    expect(await thrownBy(api.listApps())).toMatchObject({
      code: 'SERVER_UNREACHABLE',
      recovery: 'retry',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    expect(await thrownBy(api.promote({ app: 'web' }))).toMatchObject({ code: 'SERVER_UNREACHABLE', recovery: 'reconcile' });
  });

  it.each<[string, number, Record<string, string>, string, string]>([
    ['a page of something else', 200, { 'content-type': 'text/html' }, '<html>', 'SERVER_ANSWER_UNREADABLE'],
    ['JSON of something else', 200, {}, '{"rows":[{"id":1}]}', 'SERVER_ANSWER_UNREADABLE'],
    ["a proxy's error page", 502, {}, '<html>', 'SERVER_ANSWER_UNREADABLE'],
    ['a redirect, which would take the token elsewhere', 302, { location: 'http://127.0.0.1:9/' }, '', 'SERVER_UNREACHABLE'],
  ])('is not misled by %s', async (_what, status, headers, body, code) => {
    const api = createHttpApi({ url: await answerWith(status, headers, body), token: TOKEN });
    expect(await thrownBy(api.listRuns())).toMatchObject({ code });
  });

  it('does not follow a page that is no stream', async () => {
    const followed = collect(createHttpApi({ url: await answerWith(200, { 'content-type': 'text/html' }, '<html>') }));
    await followed.done;
    expect(await thrownBy(Promise.reject(followed.thrown()))).toMatchObject({ code: 'SERVER_ANSWER_UNREADABLE' });
  });

  it('waits no longer than told', async () => {
    const { url, runtime } = await serve();
    const api = runtime.api({ name: 'x', origin: 'y', preset: 'admin' });
    runtime.api = () => ({ ...api, doctor: () => new Promise(() => undefined) });
    expect(await thrownBy(createHttpApi({ url, token: TOKEN, timeoutMs: 50 }).doctor())).toMatchObject({ code: 'SERVER_UNREACHABLE' });
  });
});
