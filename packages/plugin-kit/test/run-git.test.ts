import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecret } from '@pipit/core';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runGit } from '../src/index.js';

let home: string;
const servers: Server[] = [];

/** Asks everybody for a password, or sends them elsewhere; keeps what it is told. */
const startServer = async (redirect?: string): Promise<{ readonly url: string; readonly told: readonly string[] }> => {
  const told: string[] = [];
  const server = createServer((request, response) => {
    if (request.headers.authorization !== undefined) told.push(request.headers.authorization);
    if (redirect !== undefined) response.writeHead(302, { location: `${redirect}${request.url}` }).end();
    else response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: `http://127.0.0.1:${address.port}`, told };
};

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'pipit-run-git-'));
});
afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await rm(home, { recursive: true, force: true });
});

const list = (url: string): Promise<string> =>
  runGit(['ls-remote', '--', `${url}/acme/web.git`], {
    home,
    signal: AbortSignal.timeout(60_000),
    credentials: { username: 'pipit', password: createSecret('a password'), url: `${url}/acme/web.git` },
  });

const expected = `Basic ${Buffer.from('pipit:a password').toString('base64')}`;

it('tells the server its credential, when it asks', async () => {
  const server = await startServer();
  await expect(list(server.url)).rejects.toMatchObject({ code: 'GIT_FAILED' });
  expect(server.told).toContain(expected);
});

it('tells a server that it was redirected to no credential', async () => {
  const other = await startServer();
  const server = await startServer(other.url);
  await expect(list(server.url)).rejects.toMatchObject({ code: 'GIT_FAILED' });
  expect(other.told).toEqual([]);
});
