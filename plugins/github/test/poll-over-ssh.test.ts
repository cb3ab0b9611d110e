import { chmod, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { runGit } from '@pipit/plugin-kit';
import { createTestCall } from '@pipit/plugin-testing';
import { openSshServer, whyNoServer } from 'pipit-lab';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { startFakeGithub } from './fake-github.js';
import { startGitServer } from './git-server.js';
import { goodConfig, openPlugin } from './open-plugin.js';

const unavailable = await whyNoServer();

/** GitHub's ssh: whoever has the key is `git`, and may only fetch. */
const openWorld = async () => {
  const github = await startFakeGithub();
  const server = await startGitServer();
  const gate = join(dirname(server.root), 'only-fetch');
  await writeFile(
    gate,
    `#!/bin/sh\npath=\${SSH_ORIGINAL_COMMAND#git-upload-pack \\'/}\nexec git -c safe.directory='*' upload-pack "${server.root}/\${path%\\'}"\n`,
    { mode: 0o755 },
  );
  await chmod(dirname(server.root), 0o755);
  const ssh = await openSshServer({ options: [`ForceCommand=${gate}`] });
  onTestFinished(async () => {
    await Promise.all([server.close(), github.close(), ssh.close()]);
  });
  const open = (knownHosts = ssh.knownHosts) =>
    openPlugin(
      {
        ...goodConfig,
        url: server.url,
        apiUrl: github.apiUrl,
        token: 'github_pat_good',
        ssh: { privateKey: ssh.privateKey, knownHosts, host: ssh.address, port: ssh.port },
      },
      server.home,
    );
  return { server, ssh, open };
};

describe('reading GitHub over ssh with a deploy key', { timeout: 120_000 }, () => {
  beforeEach(({ skip }) => skip(unavailable !== undefined, unavailable));

  it('polls, and hands out a way to fetch the commit', async () => {
    const { server, ssh, open } = await openWorld();
    const first = await server.commit();
    await server.push('main');
    const { trigger } = await open();
    const begin = await trigger.poll(undefined, createTestCall());
    const sha = await server.commit();
    await server.push('main');
    const { events } = await trigger.poll(begin.cursor, createTestCall());
    expect(events).toMatchObject([{ sha, before: first, repository: { url: `ssh://git@${ssh.address}:${ssh.port}/acme/web.git` } }]);
    const [event] = events;
    if (event === undefined) throw new Error('no event');
    const credentials = await trigger.access(event.repository, createTestCall());
    const listed = await runGit(['ls-remote', '--', event.repository.url, 'refs/heads/main'], {
      home: server.home,
      signal: AbortSignal.timeout(60_000),
      ...(credentials && { credentials: { ...credentials, url: event.repository.url } }),
    });
    expect(listed).toBe(`${sha}\trefs/heads/main\n`);
    expect(JSON.stringify([events, begin])).not.toContain('PRIVATE KEY');
  });

  it('tells nothing of a server whose host key is another', async () => {
    const { server, ssh, open } = await openWorld();
    await server.commit();
    await server.push('main');
    const other = ssh.knownHosts.replace(/(AAAA\S{40})(\S)/, (_, head: string, one: string) => `${head}${one === 'A' ? 'B' : 'A'}`);
    expect(other).not.toBe(ssh.knownHosts);
    const plugin = await open(other);
    expect(await plugin.trigger.poll(undefined, createTestCall())).toMatchObject({ events: [] });
    expect(JSON.stringify(plugin.logger)).toContain('acme/web');
  });
});
