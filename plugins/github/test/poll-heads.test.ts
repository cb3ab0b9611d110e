import { createTestCall } from '@pipit/plugin-testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startFakeGithub } from './fake-github.js';
import { startGitServer } from './git-server.js';
import { goodConfig, openPlugin } from './open-plugin.js';
import { delivery, push } from './signed-deliveries.js';

const openWorld = async (settings: Partial<Parameters<typeof openPlugin>[0]> = {}) => {
  const github = await startFakeGithub();
  const server = await startGitServer({ isAllowed: (password) => github.tokens.has(password) });
  onTestFinished(async () => {
    await Promise.all([server.close(), github.close()]);
  });
  const first = await server.commit();
  await server.push('main');
  const open = (more: Partial<Parameters<typeof openPlugin>[0]> = {}) =>
    openPlugin({ ...goodConfig, url: server.url, apiUrl: github.apiUrl, token: 'github_pat_good', ...settings, ...more }, server.home);
  const poll = async (after?: string) => (await open()).trigger.poll(after, createTestCall());
  return { github, server, first, open, poll };
};

describe('polling GitHub by git ls-remote over HTTP', { timeout: 120_000 }, () => {
  it('tells pushes, force pushes, new and deleted watched branches with the commits before and after, and no others', async () => {
    const { server, first, poll, github } = await openWorld({ repositories: { 'acme/web': { branches: ['main', 'release/*'] } } });
    const begin = await poll();
    expect(begin.events).toEqual([]);
    const second = await server.commit();
    await server.push('main', 'main:release/1', 'main:release/2/deep', 'main:other', 'main:refs/heads/x/refs/heads/main');
    const pushed = await poll(begin.cursor);
    const repository = { id: '42', name: 'acme/web', url: `${server.url}/acme/web.git` };
    const keyOf = (branch: string, sha: string): unknown =>
      expect.stringMatching(new RegExp(`^poll:[0-9]+:42:refs/heads/${branch}:${sha}$`));
    expect(pushed.events).toEqual([
      { key: keyOf('main', second), repository, ref: 'refs/heads/main', sha: second, before: first },
      { key: keyOf('release/1', second), repository, ref: 'refs/heads/release/1', sha: second },
    ]);
    await server.push('--force', `${first}:main`, ':release/1');
    expect((await poll(pushed.cursor)).events).toMatchObject([
      { ref: 'refs/heads/main', sha: first, before: second },
      { ref: 'refs/heads/release/1', sha: null, before: second },
    ]);
    expect(server.passwords).toContain('github_pat_good');
    // The id was asked once; the cursor keeps it.
    expect(github.seen.map(({ path }) => path)).toEqual(['/repos/acme/web']);
  });

  it('reports the same move at a later time under another key', async () => {
    const { server, first, poll } = await openWorld();
    const second = await server.commit();
    const keys: string[] = [];
    let { cursor } = await poll();
    for (const commit of [second, first, second, first]) {
      await server.push('--force', `${commit}:main`);
      const found = await poll(cursor);
      expect(found.events.map(({ sha }) => sha)).toEqual([commit]);
      keys.push(...found.events.map(({ key }) => key));
      cursor = found.cursor;
    }
    expect(new Set(keys).size).toBe(4);
  });

  it('keeps the place of a repository that cannot be read, says why without the token, and catches up', async () => {
    const { server, github, first, open, poll } = await openWorld();
    const begin = await poll();
    github.tokens.delete('github_pat_good');
    const second = await server.commit();
    await server.push('main');
    const blind = await open();
    expect(await blind.trigger.poll(begin.cursor, createTestCall())).toEqual({ events: [], cursor: begin.cursor });
    expect(JSON.stringify(blind.logger)).not.toContain('github_pat_good');
    github.tokens.add('github_pat_good');
    expect((await poll(begin.cursor)).events).toMatchObject([{ sha: second, before: first }]);
  });

  it('follows a rename: the API leads from the old name to the id, and the hook then knows the new name', async () => {
    const { github, open } = await openWorld();
    const [web] = github.repositories;
    if (web === undefined) throw new Error('the fake has no repository');
    web.formerly.push(web.fullName);
    web.fullName = 'acme/website';
    const { trigger, receive } = await open();
    expect(await trigger.findRepository('ACME/web', createTestCall())).toMatchObject({ id: '42', name: 'acme/web' });
    expect(await trigger.findRepository('acme/other', createTestCall())).toBeUndefined();
    const renamed = delivery({ ...push, repository: { id: 42, full_name: 'acme/website' } });
    expect(await receive?.(renamed, createTestCall())).toMatchObject({
      accepted: [{ event: { repository: { id: '42', name: 'acme/web' } } }],
    });
  });

  it('polls with an id from the config where there is no API', async () => {
    const { server, open } = await openWorld();
    const { trigger } = await open({ apiUrl: 'http://127.0.0.1:1', repositories: { 'acme/web': { id: 7 } } });
    expect((await trigger.poll(undefined, createTestCall())).cursor).toContain('"7":{"refs/heads/main"');
    expect(server.passwords.length).toBeGreaterThan(0);
  });

  it('reads git with a token of the App for this repository and contents alone, and renews it before it expires', async () => {
    const { github, server, open } = await openWorld();
    const instance = await open({ token: undefined, app: github.app });
    const repository = { id: '42', name: 'acme/web', url: `${server.url}/acme/web.git` };
    const read = async () => {
      const credentials = await instance.trigger.access(repository, createTestCall());
      if (credentials === undefined || !('password' in credentials)) throw new Error('no token was given');
      return credentials.password.reveal();
    };
    const token = await read();
    expect(await read()).toBe(token);
    const asked = github.seen.filter(({ path }) => path.endsWith('/access_tokens'));
    expect(asked.map(({ body }) => body)).toEqual([{ permissions: { contents: 'read' }, repository_ids: [42] }]);
    expect((await instance.trigger.poll(undefined, createTestCall())).cursor).toContain('refs/heads/main');
    expect(server.passwords).toContain(token);
    github.world.tokenLifetimeMs = 300_000;
    const short = await open({ token: undefined, app: github.app });
    const tokens = [await short.trigger.access(repository, createTestCall()), await short.trigger.access(repository, createTestCall())];
    expect(new Set(tokens.map((each) => each && 'password' in each && each.password.reveal())).size).toBe(2);
  });

  it('gives its credential to no other address than that of the config', async () => {
    const { open } = await openWorld();
    const { trigger } = await open();
    const elsewhere = { id: '42', name: 'acme/web', url: 'https://evil.example/acme/web.git' };
    expect(await trigger.access(elsewhere, createTestCall())).toBeUndefined();
  });
});
