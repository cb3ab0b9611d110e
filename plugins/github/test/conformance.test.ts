/** That the plugin keeps the published promises: on a real git server over HTTP, and a fake of GitHub's API on a real socket. */
import { parseCommitSha, parseRefName } from '@pipit/core';
import { testPlugin, testTrigger } from '@pipit/plugin-testing';
import { plugin } from '../src/index.js';
import { startFakeGithub } from './fake-github.js';
import { startGitServer } from './git-server.js';
import { goodConfig, openPlugin } from './open-plugin.js';
import { delivery, push, secret, without } from './signed-deliveries.js';

const privateKey = '-----BEGIN OPENSSH PRIVATE KEY-----\nthe private key\n-----END OPENSSH PRIVATE KEY-----\n';
const ssh = { privateKey, knownHosts: 'github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl' };

testPlugin('plugin-github', {
  plugin,
  goodConfig: { ...goodConfig, previousSecret: 'the secret before it', token: 'github_pat_good', ssh },
  badConfigs: {
    'no repositories': { secret },
    'a short secret': { ...goodConfig, secret: 'short' },
    'a short secret of a repository': { repositories: { 'acme/web': { secret: 'short' } } },
    'a repository without its owner': { ...goodConfig, repositories: { web: {} } },
    'a repository that leads out of its owner': { ...goodConfig, repositories: { 'acme/..': {} } },
    'one repository in two writings': { ...goodConfig, repositories: { 'acme/web': {}, 'Acme/Web': {} } },
    'a branch that is an option': { ...goodConfig, repositories: { 'acme/web': { branches: ['--all'] } } },
    'an unknown key': { ...goodConfig, repos: {} },
    'a token and an App': { ...goodConfig, token: 't0ken', app: { id: 1, installation: 2, privateKey } },
    'an App without its key': { ...goodConfig, app: { id: 1, installation: 2 } },
    'a key that is a path': { ...goodConfig, ssh: { ...ssh, privateKey: '/etc/key' } },
    'a token over plain http': { ...goodConfig, url: 'http://github.example.org', token: 't0ken' },
    'an address with a password': { ...goodConfig, url: 'https://ada:secret@github.example.org' },
  },
  secrets: [secret, 'the secret before it', 'github_pat_good', 'the private key'],
});

testTrigger('plugin-github', {
  open: async () => {
    const github = await startFakeGithub();
    const server = await startGitServer({ isAllowed: (password) => github.tokens.has(password) });
    await server.commit();
    await server.push('main');
    const good = delivery(push);
    const repository = { id: '42', name: 'acme/web', url: `${server.url}/acme/web.git` };
    return {
      reopen: () => openPlugin({ ...goodConfig, url: server.url, apiUrl: github.apiUrl, token: 'github_pat_good' }, server.home),
      repository,
      hook: {
        good,
        expected: { ref: parseRefName(push.ref), sha: parseCommitSha(push.after) },
        bad: {
          'no signature': without(good, 'x-hub-signature-256'),
          'a wrong signature': delivery(push, {}, 'another secret of it'),
          'a wrong content type': delivery(push, { 'content-type': 'application/x-www-form-urlencoded' }),
          'no delivery id': without(good, 'x-github-delivery'),
          'broken JSON': delivery('{"repository":'),
          'an unknown repository': delivery({ ...push, repository: { id: 43, full_name: 'acme/other' } }),
        },
      },
      push: async () => {
        const commit = await server.commit();
        await server.push('main');
        return { ref: parseRefName('refs/heads/main'), sha: commit };
      },
      close: async () => {
        await Promise.all([server.close(), github.close()]);
      },
    };
  },
});
