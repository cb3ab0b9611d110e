import { createServer } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { createWaitingServer, type WaitingServer } from '../src/index.js';

const ABSENCE = {
  since: '2026-01-01T00:00:00.000Z',
  reason: 'connect ECONNREFUSED',
  nextTryAt: '2026-01-01T00:00:05.000Z',
  givesUpAt: '2026-01-01T00:15:00.000Z',
};

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

const createWaiting = async (): Promise<{ readonly server: WaitingServer; readonly url: string; readonly port: number }> => {
  const port = await freePort();
  const server = createWaitingServer({ host: '127.0.0.1', port, version: '1.2.3' });
  open.push(server);
  return { server, port, url: `http://127.0.0.1:${port}` };
};

it('says why pipit is not ready, and sends everybody else away for a while', async () => {
  const { server, url } = await createWaiting();
  await server.show(ABSENCE);
  await server.show({ ...ABSENCE, reason: 'still away' });
  const ready = await fetch(`${url}/readyz`);
  expect(ready.status).toBe(503);
  expect(await ready.json()).toMatchObject({ ready: false, database: false, databaseAway: { ...ABSENCE, reason: 'still away' } });
  expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok', version: '1.2.3' });
  for (const [path, method] of [
    ['/hooks/github', 'POST'],
    ['/api/apps', 'GET'],
    ['/readyz', 'POST'],
    ['/', 'GET'],
  ] as const) {
    const answer = await fetch(`${url}${path}`, { method, ...(method === 'POST' ? { body: 'x'.repeat(100_000) } : {}) });
    expect([path, answer.status, answer.headers.get('retry-after')]).toEqual([path, 503, '5']);
    expect(await answer.json()).toMatchObject({ error: { code: 'DATABASE_UNAVAILABLE' } });
  }
});

it('listens only once there is something to say, and gives the port back', async () => {
  const { server, url, port } = await createWaiting();
  await expect(fetch(`${url}/readyz`)).rejects.toThrow();
  await server.show(ABSENCE);
  await server.close();
  const other = createServer();
  open.push(other);
  await new Promise<void>((resolve, reject) => {
    other.once('error', reject);
    other.listen(port, '127.0.0.1', resolve);
  });
});

it('leaves a port that is taken to the server itself', async () => {
  const { server, port } = await createWaiting();
  const other = createServer();
  open.push(other);
  await new Promise<void>((resolve) => void other.listen(port, '127.0.0.1', resolve));
  await server.show(ABSENCE);
  await server.close();
});
