import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createSecret, type HookRequest, type Received } from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';
import { createTemporaryFolder, createTestCall } from '@pipit/plugin-testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { renderPostReceiveHook } from '../src/local-trigger-hook.js';
import { createGitRepository, git } from './git-repository.js';
import { delivery, openTrigger, push, secret, sha, without } from './signed-deliveries.js';

const folderOfTest = async (): Promise<string> => {
  const folder = await createTemporaryFolder();
  onTestFinished(() => folder.remove());
  return folder.path;
};

describe('the webhook of the local trigger', () => {
  const trigger = openTrigger('/srv/git/web.git', { previous: 'the secret before it' });
  const refusal = (received: Received) => ('refused' in received ? [received.status, received.code] : 'accepted');

  it.each([
    ['GET', { ...delivery(push), method: 'GET' }, [400, 'LOCAL_METHOD_WRONG']],
    ['no content type', without(delivery(push), 'content-type'), [415, 'LOCAL_CONTENT_TYPE']],
    ['a form', delivery(push, { 'content-type': 'application/x-www-form-urlencoded' }), [415, 'LOCAL_CONTENT_TYPE']],
    ['no signature', without(delivery(push), 'x-pipit-signature-256'), [401, 'LOCAL_SIGNATURE_MISSING']],
    ['a signature of another kind', delivery(push, { 'x-pipit-signature-256': `sha1=${sha('a')}` }), [401, 'LOCAL_SIGNATURE_WRONG']],
    ['a signature by another secret', delivery(push, {}, createSecret('x'.repeat(20))), [401, 'LOCAL_SIGNATURE_WRONG']],
    ['a wrong signature around a broken body', delivery('{', { 'x-pipit-signature-256': 'sha256=00' }), [401, 'LOCAL_SIGNATURE_WRONG']],
    ['no delivery id', without(delivery(push), 'x-pipit-delivery'), [400, 'LOCAL_DELIVERY_MISSING']],
    ['a delivery id that is not the signed one', delivery({ ...push, delivery: randomUUID() }), [400, 'LOCAL_DELIVERY_WRONG']],
    ['a delivery id with a line break', delivery(push, { 'x-pipit-delivery': `${randomUUID()}\n` }), [400, 'LOCAL_DELIVERY_MISSING']],
    ['broken JSON', delivery('{"ref"'), [400, 'LOCAL_BODY_BROKEN']],
    ['an array', delivery([]), [400, 'LOCAL_BODY_BROKEN']],
    ['no ref', delivery({ ...push, ref: undefined }), [400, 'LOCAL_BODY_BROKEN']],
    ['a short ref', delivery({ ...push, ref: 'main' }), [400, 'LOCAL_BODY_BROKEN']],
    ['a commit that is an option', delivery({ ...push, after: '--upload-pack=id' }), [400, 'LOCAL_BODY_BROKEN']],
    ['no commit at all', delivery({ ...push, before: sha('0'), after: sha('0') }), [400, 'LOCAL_BODY_BROKEN']],
    ['an unknown repository', delivery({ ...push, repository: { name: '../web' } }), [404, 'LOCAL_REPOSITORY_UNKNOWN']],
  ])('refuses %s', async (_name, request, expected) => {
    expect(refusal(await trigger.receive(request))).toEqual(expected);
  });

  it('takes the repository from the config, never from the body', async () => {
    const received = await trigger.receive(delivery({ ...push, author: 'Eve\u001b[2J\n' }));
    expect(received).toEqual({
      accepted: [
        {
          type: 'change',
          event: {
            key: expect.stringMatching(/^body:[0-9a-f]{64}$/),
            delivery: '11111111-2222-3333-4444-555555555555',
            repository: { id: '/srv/git/web.git', name: 'acme/web', url: '/srv/git/web.git' },
            ref: 'refs/heads/main',
            sha: sha('2'),
            before: sha('1'),
            author: 'Eve [2J',
          },
        },
      ],
    });
  });

  it('tells a new ref without a commit before, and a deleted one without a commit', async () => {
    const created = await trigger.receive(delivery({ ...push, before: sha('0') }));
    expect(created).toMatchObject({ accepted: [{ event: { sha: sha('2') } }] });
    expect(JSON.stringify(created)).not.toContain('before');
    expect(await trigger.receive(delivery({ ...push, after: sha('0') }))).toMatchObject({
      accepted: [{ event: { sha: null, before: sha('1') } }],
    });
  });

  it('accepts both secrets while one is replaced, and a content type with a charset', async () => {
    expect(refusal(await trigger.receive(delivery(push, {}, createSecret('the secret before it'))))).toBe('accepted');
    expect(refusal(await trigger.receive(delivery(push, { 'content-type': 'Application/JSON; charset=utf-8' })))).toBe('accepted');
    const only = openTrigger('/srv/git/web.git');
    expect(refusal(await only.receive(delivery(push, {}, createSecret('the secret before it'))))).toEqual([401, 'LOCAL_SIGNATURE_WRONG']);
  });

  it('knows a push by what is signed: sent again under another id it is the same, and a signed id makes it another', async () => {
    const keyOf = async (request: HookRequest): Promise<unknown> => {
      const received = await trigger.receive(request);
      const [inbound] = 'refused' in received ? [] : received.accepted;
      return inbound?.type === 'change' ? inbound.event.key : received;
    };
    const first = await keyOf(delivery(push));
    expect(await keyOf(delivery(push, { 'x-pipit-delivery': randomUUID() }))).toBe(first);
    const ids = [randomUUID(), randomUUID()];
    expect(await Promise.all(ids.map((id) => keyOf(delivery({ ...push, delivery: id }, { 'x-pipit-delivery': id }))))).toEqual(ids);
  });

  it('answers a ping without an event', async () => {
    expect(await trigger.receive(delivery({ ping: true }))).toEqual({ accepted: [] });
  });
});

describe('the poll of the local trigger', () => {
  const open = async (branches?: readonly string[]) => {
    const folder = await folderOfTest();
    const repository = await createGitRepository(folder);
    const first = await repository.commit();
    await repository.push('main');
    const poll = async (after?: string) => {
      const { trigger } = openTrigger(repository.bare, branches === undefined ? {} : { branches });
      return (await trigger.poll?.(after, createTestCall())) ?? expect.fail('it polls');
    };
    return { folder, repository, first, poll };
  };

  it('tells what was pushed while nobody looked, with the commit before', async () => {
    const { repository, first, poll } = await open();
    const begin = await poll();
    expect(begin.events).toEqual([]);
    await repository.commit();
    const last = await repository.commit();
    await repository.push('main');
    expect((await poll(begin.cursor)).events).toEqual([
      {
        key: expect.stringMatching(new RegExp(`^poll:[0-9]+:acme/web:refs/heads/main:${last}$`)),
        repository: { id: repository.bare, name: 'acme/web', url: repository.bare },
        ref: 'refs/heads/main',
        sha: last,
        before: first,
      },
    ]);
  });

  it('tells new and deleted branches of the configured patterns, and no others', async () => {
    const { repository, first, poll } = await open(['main', 'release/*', 'feature']);
    const begin = await poll();
    await repository.push(
      'main:refs/heads/release/2',
      'main:refs/heads/release/deep/1',
      'main:refs/heads/feature/login',
      'main:refs/heads/other',
    );
    const created = await poll(begin.cursor);
    expect(created.events.map(({ ref, sha: commit, before }) => [ref, commit, before])).toContainEqual([
      'refs/heads/release/2',
      first,
      undefined,
    ]);
    expect(created.events.map(({ ref }) => ref).filter((ref) => /feature|other|deep/.test(ref))).toEqual([]);
    await repository.push(':refs/heads/release/2');
    expect((await poll(created.cursor)).events).toMatchObject([{ ref: 'refs/heads/release/2', sha: null, before: first }]);
  });

  it('reports the same move at a later time under another key', async () => {
    const { repository, first, poll } = await open();
    const second = await repository.commit();
    const keys: string[] = [];
    let { cursor } = await poll();
    for (const commit of [second, first, second, first]) {
      await repository.push(`+${commit}:refs/heads/main`);
      const found = await poll(cursor);
      expect(found.events.map(({ sha: reported }) => reported)).toEqual([commit]);
      keys.push(...found.events.map(({ key }) => key));
      cursor = found.cursor;
    }
    expect(new Set(keys).size).toBe(4);
  });

  it('keeps its place while a repository cannot be read', async () => {
    const { repository, poll } = await open();
    const begin = await poll();
    await rename(repository.bare, `${repository.bare}.away`);
    const away = await poll(begin.cursor);
    expect(away).toEqual({ events: [], cursor: begin.cursor });
    await rename(`${repository.bare}.away`, repository.bare);
    const commit = await repository.commit();
    await repository.push('main');
    expect((await poll(away.cursor)).events).toMatchObject([{ sha: commit }]);
  });

  it('begins anew at a cursor that it cannot read', async () => {
    const { poll } = await open();
    const begin = await poll();
    const again = await poll('{"heads":7}');
    expect(again.events).toEqual([]);
    expect(JSON.parse(again.cursor)).toMatchObject({ heads: JSON.parse(begin.cursor).heads });
  });

  it('reads a repository of another user', async ({ skip }) => {
    if (process.getuid?.() !== 0) skip('only root can give a repository to another user');
    const { repository, poll } = await open();
    await runCommand(['chown', '-R', '65534', repository.bare], { cwd: '/', env: minimalEnvironment('/') });
    expect((await poll()).cursor).toContain('refs/heads/main');
  });

  it('says in its health which repository is missing', async () => {
    const { repository } = await open();
    expect(await openTrigger(repository.bare).checkHealth(AbortSignal.timeout(10_000))).toMatchObject([
      { name: 'repository acme/web', ok: true },
    ]);
    expect(await openTrigger('/nowhere.git').checkHealth(AbortSignal.timeout(10_000))).toMatchObject([
      { ok: false, hint: expect.stringContaining('git init --bare /nowhere.git') },
    ]);
  });
});

describe('the post-receive hook', () => {
  const open = async () => {
    const folder = await folderOfTest();
    const repository = await createGitRepository(folder);
    const trigger = openTrigger(repository.bare);
    const received: { request: HookRequest; answer: Received }[] = [];
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer); // a server's request gives buffers
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
      const asked = { method: request.method ?? '', query: {}, headers, body: Buffer.concat(chunks), remoteAddress: '' };
      const answer = await trigger.receive(asked);
      received.push({ request: asked, answer });
      response
        .writeHead('refused' in answer ? answer.status : 202)
        .end(JSON.stringify('refused' in answer ? answer : { eventIds: ['event-7'], repeated: false }));
    });
    const listen = async (port: number): Promise<number> => {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      return (server.address() as AddressInfo).port; // a TCP server's address is this
    };
    onTestFinished(() => {
      server.closeAllConnections();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    });
    const secretFile = join(folder, "secret's file");
    await writeFile(secretFile, `${secret.reveal()}\n`);
    const install = async (port: number): Promise<void> => {
      const hook = join(repository.bare, 'hooks', 'post-receive');
      await mkdir(join(repository.bare, 'hooks'), { recursive: true });
      const url = `http://127.0.0.1:${port}/hooks/local`;
      await writeFile(hook, renderPostReceiveHook({ url, secretFile, repository: 'acme/web', nodePath: process.execPath }));
      await chmod(hook, 0o755);
    };
    return { folder, repository, received, listen, install, server, secretFile };
  };

  it('tells each ref of a real push, which the trigger accepts', async () => {
    const { repository, received, listen, install } = await open();
    await install(await listen(0));
    const commit = await repository.commit();
    const said = await repository.push('main', 'main:refs/heads/other');
    expect(said).toContain('pipit: refs/heads/main accepted as event event-7');
    expect(said).toContain('pipit: refs/heads/other accepted as event event-7');
    expect(received.map(({ answer }) => answer)).toMatchObject([
      { accepted: [{ event: { ref: 'refs/heads/main', sha: commit } }] },
      { accepted: [{ event: { ref: 'refs/heads/other', sha: commit } }] },
    ]);
    expect(await repository.push(':refs/heads/other')).toContain('refs/heads/other accepted');
    expect(received.at(-1)?.answer).toMatchObject({ accepted: [{ event: { sha: null, before: commit } }] });
    expect(new Set(received.map(({ request }) => request.headers['x-pipit-delivery'])).size).toBe(3);
  });

  it('tries again while nothing listens', async () => {
    const { repository, received, listen, install, server } = await open();
    const port = await listen(0);
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await install(port);
    await repository.commit();
    const pushing = repository.push('main');
    // The push itself is done before the hook runs.
    await expect.poll(() => git(repository.bare, 'for-each-ref').catch(() => ''), { timeout: 10_000 }).toContain('refs/heads/main');
    await listen(port);
    expect(await pushing).toContain('accepted as event event-7');
    expect(received.length).toBe(1);
  });

  it('never fails a push: it warns that polling will catch up, and names no secret', async () => {
    const { repository, install, listen, server, folder } = await open();
    const port = await listen(0);
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await install(port);
    await repository.commit();
    const said = await repository.push('main');
    expect(said).toContain('warning: refs/heads/main could not be told');
    expect(said).toContain('polling will catch up');
    expect(said).not.toContain(secret.reveal());
    await rename(join(folder, "secret's file"), join(folder, 'gone'));
    await repository.commit();
    expect(await repository.push('main')).toContain('warning: the hook failed');
  }, 40_000);

  it('says why it was not accepted', async () => {
    const { repository, install, listen, secretFile } = await open();
    await install(await listen(0));
    await writeFile(secretFile, 'a wrong one');
    await repository.commit();
    expect(await repository.push('main')).toContain('LOCAL_SIGNATURE_WRONG');
  });

  it('refuses a path of node that cannot stand in the first line', () => {
    const hook = { url: 'http://127.0.0.1/', secretFile: '/s', repository: 'web' };
    expect(() => renderPostReceiveHook({ ...hook, nodePath: '/opt/my node/bin/node' })).toThrow(
      expect.objectContaining({ code: 'LOCAL_HOOK_NODE_PATH' }),
    );
    expect(renderPostReceiveHook({ ...hook, nodePath: '/usr/bin/node' })).toMatch(/^#!\/usr\/bin\/node\n/);
  });
});
