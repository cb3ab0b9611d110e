import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GitServer, runCommand, startGitServer } from '../src/index.js';

interface Told {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const ZEROS = '0'.repeat(40);

describe('git server', { timeout: 60_000 }, () => {
  const told: Told[] = [];
  let folder = '';
  let receiver: Server;
  let git: GitServer;
  let work = '';
  let cloneUrl = '';
  let hookUrl = '';

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pipit-lab-git-'));
    receiver = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += String(chunk);
      told.push({ headers: request.headers, body });
      response.writeHead(202).end();
    }).listen(0, '127.0.0.1');
    await once(receiver, 'listening');
    const address = receiver.address();
    hookUrl = `http://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}/hooks/github`;
    git = await startGitServer({ folder: join(folder, 'served'), token: 'let-me-in' });
    const repository = await git.addRepository({ fullName: 'acme/shop', id: 77, hooks: [{ url: hookUrl, secret: 'shared' }] });
    cloneUrl = repository.cloneUrl.replace('http://', 'http://alice:let-me-in@');
    work = join(folder, 'work');
    await runCommand(['git', 'clone', '--quiet', cloneUrl, work]);
  });

  afterAll(async () => {
    await git?.stop();
    receiver?.close();
    await rm(folder, { recursive: true });
  });

  const inWork = async (...argv: readonly string[]): Promise<string> =>
    (await runCommand(['git', '-C', work, '-c', 'user.name=Alice', '-c', 'user.email=alice@lab.invalid', ...argv])).trim();

  /** Waits for the next event after what was told so far. */
  const next = async (count: number): Promise<{ readonly headers: IncomingHttpHeaders; readonly body: string }> => {
    const deadline = performance.now() + 20_000;
    while (told.length <= count && performance.now() < deadline) await sleep(20);
    const event = told[count];
    if (event === undefined) throw new Error('Nobody was told');
    return event;
  };

  it('tells a new hook a ping', async () => {
    const { headers, body } = await next(0);
    expect(headers['x-github-event']).toBe('ping');
    expect(JSON.parse(body)).toMatchObject({ repository: { id: 77, full_name: 'acme/shop' } });
  });

  it('tells a push, signed, with its commits', async () => {
    const count = told.length;
    await inWork('commit', '--quiet', '--allow-empty', '--message', 'First');
    await inWork('push', '--quiet', 'origin', 'HEAD:main');
    const { headers, body } = await next(count);
    const after = await inWork('rev-parse', 'HEAD');
    expect(headers).toMatchObject({
      'x-github-event': 'push',
      'x-hub-signature-256': `sha256=${createHmac('sha256', 'shared').update(body).digest('hex')}`,
    });
    expect(JSON.parse(body)).toMatchObject({
      ref: 'refs/heads/main',
      before: ZEROS,
      after,
      created: true,
      deleted: false,
      forced: false,
      pusher: { name: 'alice' },
      head_commit: { id: after, message: 'First', author: { name: 'Alice' } },
      repository: { id: 77, clone_url: `${git.url}/acme/shop.git`, default_branch: 'main' },
    });
  });

  it('tells a forced push, a tag and a deletion for what they are', async () => {
    let count = told.length;
    const before = await inWork('rev-parse', 'HEAD');
    await inWork('commit', '--quiet', '--allow-empty', '--amend', '--message', 'Other');
    await inWork('push', '--quiet', '--force', 'origin', 'HEAD:main');
    expect(JSON.parse((await next(count)).body)).toMatchObject({ before, forced: true, created: false });
    count = told.length;
    await inWork('push', '--quiet', 'origin', 'HEAD:refs/tags/v1');
    expect(JSON.parse((await next(count)).body)).toMatchObject({ ref: 'refs/tags/v1', created: true });
    count = told.length;
    await inWork('push', '--quiet', 'origin', ':refs/tags/v1');
    expect(JSON.parse((await next(count)).body)).toMatchObject({ after: ZEROS, deleted: true, head_commit: null });
  });

  it('tells nobody while telling is off, and tells an old delivery again with its id', async () => {
    const count = told.length;
    git.setTelling(false);
    await inWork('commit', '--quiet', '--allow-empty', '--message', 'Lost');
    await inWork('push', '--quiet', 'origin', 'HEAD:main');
    git.setTelling(true);
    const [first] = git.deliveries();
    await git.redeliver(first?.id ?? '');
    expect((await next(count)).headers['x-github-delivery']).toBe(first?.id);
    expect(told).toHaveLength(count + 1);
  });

  it('lets nobody in without the token', async () => {
    await expect(
      runCommand(['git', '-c', 'core.askPass=true', 'ls-remote', `${git.url}/acme/shop.git`], { env: { GIT_TERMINAL_PROMPT: '0' } }),
    ).rejects.toThrow(/Authentication failed|could not read/);
  });
});
