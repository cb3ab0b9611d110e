/** What the real aptly 1.5.0 said and wrote, recorded; and its API as something else may answer there. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecret } from '@pipit/core';
import { parsePackagesIndexes, readSuite } from '@pipit/plugin-kit';
import { createTemporaryFolder, createTestShell, type TemporaryFolder } from '@pipit/plugin-testing';
import { fastify } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAptlyApi } from '../src/aptly-api.js';
import { aptlyFailure } from '../src/aptly-failure.js';

const fixture = (name: string) => readFile(join(import.meta.dirname, '../src/__fixtures__', `aptly-1.5.0-${name}`), 'utf8');

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await createTemporaryFolder();
});
afterEach(() => folder.remove());

it.each([
  ['database-locked.txt', 'APTLY_DATABASE_LOCKED', 'retry'],
  ['signing-failed.txt', 'APTLY_SIGNING_FAILED', 'stop'],
  ['conflict.txt', 'APTLY_FAILED', 'reconcile'],
])('knows what %s means', async (name, code, recovery) => {
  expect(aptlyFailure('aptly', await fixture(name))).toMatchObject({ code, recovery });
});

describe('a recorded suite', () => {
  const read = async (text: string, keys?: readonly string[]) => {
    const tree = {
      place: 'the recording',
      read: async (path: string) => (path === 'dists/published/InRelease' ? Buffer.from(text) : undefined),
    };
    return readSuite({ tree, suite: 'published', shell: createTestShell(folder.path), ...(keys === undefined ? {} : { keys }) });
  };

  it('is read: every version with its digest', async () => {
    const listed = parsePackagesIndexes([await fixture('Packages.txt')]);
    expect(listed.map(({ name, version }) => `${name} ${version}`).sort()).toEqual(['web 1.0', 'web 2.0']);
    expect(listed.every(({ digest }) => /^sha256:[0-9a-f]{64}$/.test(digest))).toBe(true);
  });

  it('is good with the key that signed it, up to the index that is not there', async () => {
    const keys = [await fixture('public-key.asc')];
    await expect(read(await fixture('InRelease.txt'), keys)).rejects.toMatchObject({ code: 'REPOSITORY_INDEX_BROKEN', recovery: 'retry' });
  });

  it('is broken when a line of it was changed', async () => {
    const text = (await fixture('InRelease.txt')).replace('Components: main', 'Components: evil');
    expect(await read(text, [await fixture('public-key.asc')])).toMatchObject({ state: 'broken', raw: expect.stringContaining('BAD') });
  });

  it('is broken without a key', async () => {
    expect(await read(await fixture('InRelease.txt'), [])).toMatchObject({ state: 'broken' });
  });
});

describe('an API', () => {
  const withServer = async <T>(answer: { readonly status: number; readonly body: unknown }, use: (url: string) => Promise<T>) => {
    const server = fastify();
    const seen: (string | undefined)[] = [];
    server.addContentTypeParser('multipart/form-data', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
    server.all('/*', async (request, reply) => {
      seen.push(request.headers.authorization);
      return reply.status(answer.status).send(answer.body);
    });
    const url = await server.listen({ host: '127.0.0.1', port: 0 });
    try {
      return { result: await use(url).catch((thrown: unknown) => thrown), seen };
    } finally {
      await server.close();
    }
  };
  const apiAt = (url: string, more: object = {}) =>
    createAptlyApi({
      url,
      repo: 'pipit',
      signWith: 'A',
      uploadFolder: 'u',
      shell: createTestShell(folder.path),
      signal: AbortSignal.timeout(20_000),
      ...more,
    });

  it('gets the token, or user and password', async () => {
    const empty = { status: 200, body: [] };
    const token = await withServer(empty, (url) => apiAt(url, { token: createSecret('t0ken') }).listSnapshots());
    expect(token.seen).toEqual(['Bearer t0ken']);
    const password = await withServer(empty, (url) => apiAt(url, { user: 'a', password: createSecret('b:c') }).listSnapshots());
    expect(password.seen).toEqual([`Basic ${Buffer.from('a:b:c').toString('base64')}`]);
  });

  it.each([
    ['refuses the token', { status: 401, body: {} }, 'HTTP_ACCESS_REFUSED', 'stop'],
    ['is something else', { status: 200, body: { hello: 1 } }, 'APTLY_ANSWER_UNKNOWN', 'stop'],
    [
      'has its database locked',
      { status: 500, body: { error: 'unable to reopen the DB, maximum number of retries reached' } },
      'APTLY_DATABASE_LOCKED',
      'retry',
    ],
  ])('that %s', async (_what, answer, code, recovery) => {
    const { result } = await withServer(answer, (url) => apiAt(url).listSnapshots());
    expect(result).toMatchObject({ code, recovery });
  });

  it('that added nothing with 200 is not believed', async () => {
    await createTestShell(folder.path).write('web_1.0_all.deb', 'bytes');
    const answers: unknown = JSON.parse(await fixture('api-answers.json'));
    const { conflict } = answers as { conflict: { status: number; body: unknown } }; // our own recording
    const { result } = await withServer(conflict, (url) => apiAt(url).addPackage(`${folder.path}/web_1.0_all.deb`));
    expect(result).toMatchObject({ code: 'APTLY_FAILED', message: expect.stringContaining('conflict in package web_1.0_all') });
  });
});
