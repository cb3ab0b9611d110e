import { createServer } from 'node:http';
import { createTestCall } from '@pipit/plugin-testing';
import { expect, it, onTestFinished } from 'vitest';
import { goodConfig, openPlugin } from './open-plugin.js';

const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
const filler = Buffer.from(`"more":"${'x'.repeat(1_000)}",`.repeat(1_000));

it.each([
  ['a repository of 40 MB', 200, '{', 40, '"id":42,"full_name":"acme/web"}', 'GITHUB_ANSWER_UNREADABLE'],
  ['a deep list', 200, deep, 0, '', 'GITHUB_ANSWER_UNREADABLE'],
  ['an error with deep details', 422, `{"message":"no","errors":[${deep}]}`, 0, '', expect.stringMatching(/^(GITHUB|HTTP)_/)],
] as const)('refuses %s in few words', { timeout: 20_000 }, async (_what, status, begin, fillers, end, code) => {
  const server = createServer((_request, response) => {
    response.on('error', () => undefined).writeHead(status, { 'content-type': 'application/json' });
    response.write(begin);
    for (let count = 0; count < fillers; count += 1) response.write(filler);
    response.end(end);
  }).listen(0, '127.0.0.1');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const apiUrl = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  const { trigger } = await openPlugin({ ...goodConfig, apiUrl, token: 'github_pat_good' });
  const thrown: unknown = await trigger.findRepository('acme/web', createTestCall()).catch((error: unknown) => error);
  expect(thrown).toMatchObject({ code });
  expect(String(thrown).length).toBeLessThan(5_000);
});
