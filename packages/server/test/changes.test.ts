import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { TOKEN } from './support/fake-runtime.js';
import { rawRequest } from './support/raw-request.js';
import { serve, until } from './support/serve.js';

interface Reader {
  text(): string;
  ended(): boolean;
  close(): void;
}

const read = async (url: string, headers: Record<string, string> = {}): Promise<Reader> => {
  const controller = new AbortController();
  onTestFinished(() => controller.abort());
  const response = await fetch(url, { headers: { authorization: `Bearer ${TOKEN}`, ...headers }, signal: controller.signal });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  expect(response.headers.get('cache-control')).toBe('no-store');
  let text = '';
  let ended = false;
  void (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of response.body ?? []) text += decoder.decode(bytes, { stream: true });
  })()
    .catch(() => undefined)
    .finally(() => {
      ended = true;
    });
  return { text: () => text, ended: () => ended, close: () => controller.abort() };
};

const runsOf = (text: string): readonly string[] => [...text.matchAll(/"runId":"([^"]+)"/g)].flatMap((match) => match[1] ?? []);
const lastIdOf = (text: string): string => [...text.matchAll(/^id: (.+)$/gm)].at(-1)?.[1] ?? '';

describe('live changes', () => {
  it('come from the moment that the headers are there', async () => {
    const { url, runtime } = await serve();
    runtime.change('web-0');
    const reader = await read(`${url}/api/changes`);
    runtime.change('web-1');
    runtime.change('web-2');
    await until('both came', () => runsOf(reader.text()).length === 2);
    expect(runsOf(reader.text())).toEqual(['web-1', 'web-2']);
    expect(reader.text()).toMatch(/^retry: 1000\n\nid: [0-9a-z]+\.2\nevent: change\ndata: \{"id":2,"runId":"web-1"\}\n\n/);
  });

  it('go on behind Last-Event-ID', async () => {
    const { url, runtime } = await serve();
    const reader = await read(`${url}/api/changes`);
    runtime.change('web-1');
    await until('it came', () => lastIdOf(reader.text()) !== '');
    reader.close();
    runtime.change('web-2');
    const again = await read(`${url}/api/changes`, { 'last-event-id': lastIdOf(reader.text()) });
    runtime.change('web-3');
    await until('both came', () => runsOf(again.text()).length === 2);
    expect(runsOf(again.text())).toEqual(['web-2', 'web-3']);
    expect(again.text()).not.toContain('reset');
  });

  it('say that all has to be read again when the id is of another process', async () => {
    const { url, runtime } = await serve();
    const reader = await read(`${url}/api/changes`, { 'last-event-id': 'otherprocess.400' });
    runtime.change('web-1');
    await until('it came', () => runsOf(reader.text()).length === 1);
    expect(reader.text()).toMatch(/event: reset\ndata: \{\}\n\nid: /);
  });

  it('of one run leave out the others', async () => {
    const { url, runtime } = await serve();
    const reader = await read(`${url}/api/changes?runId=web-2`);
    for (const run of ['web-1', 'web-2', 'web-3', 'web-2']) runtime.change(run);
    await until('both came', () => runsOf(reader.text()).length === 2);
    expect(runsOf(reader.text())).toEqual(['web-2', 'web-2']);
  });

  it.each([
    ['?after=x.y.z', 400, 'INVALID_EVENT_ID'],
    ['?runId=web-99', 404, 'RUN_UNKNOWN'],
    ['?colour=red', 400, 'INVALID_REQUEST'],
  ])('are refused for %s', async (query, status, code) => {
    const { url, runtime } = await serve();
    const answer = await rawRequest(`${url}/api/changes${query}`, { method: 'GET' });
    expect(answer.status).toBe(status);
    expect(answer.json()).toMatchObject({ error: { code } });
    expect(runtime.followers).toBe(0);
  });

  it('show signs of life while nothing changes', async () => {
    const { url } = await serve({ heartbeatMs: 10 });
    const reader = await read(`${url}/api/changes`);
    await until('two comments came', () => reader.text().split(': still here\n\n').length > 2);
  });

  it('stop costing anything when the reader leaves', async () => {
    const { url, runtime } = await serve();
    const reader = await read(`${url}/api/changes`);
    await until('it is followed', () => runtime.followers === 1);
    reader.close();
    await until('it is not followed any more', () => runtime.followers === 0);
  });

  it('end when the server drains, and no new reader is taken', async () => {
    const { url, runtime, server } = await serve();
    const reader = await read(`${url}/api/changes`);
    server.drain();
    await until('the stream ended', reader.ended);
    expect(runtime.followers).toBe(0);
    expect(await rawRequest(`${url}/api/changes`, { method: 'GET' })).toMatchObject({ status: 503 });
  });

  it('are cut off for a reader that does not read, and not for one that does', async () => {
    const { url, runtime, log } = await serve();
    const slow = connect(Number(new URL(url).port), '127.0.0.1');
    onTestFinished(() => {
      slow.destroy();
    });
    slow.on('error', () => undefined);
    slow.pause();
    slow.write(`GET /api/changes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`);
    const quick = await read(`${url}/api/changes`);
    await until('both follow', () => runtime.followers === 2);
    const name = 'x'.repeat(64 * 1024);
    let sent = 0;
    while (runtime.followers === 2 && sent < 2000) {
      runtime.change(name);
      sent += 1;
      await new Promise((resolve) => setImmediate(resolve));
      await until('the quick reader has it', () => quick.text().length > sent * name.length || runtime.followers < 2);
    }
    expect(runtime.followers).toBe(1);
    expect(log).toContainEqual(expect.objectContaining({ level: 'warn', message: 'A slow reader of live changes was dropped' }));
    runtime.change('the-end');
    await until('the quick reader is still served', () => quick.text().includes('the-end'));
  });
});
