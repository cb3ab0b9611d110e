import { type Commit, isPluginError, type Notice, type NoticeState, parseCommitSha } from '@pipit/core';
import { createTestCall, createTestOp } from '@pipit/plugin-testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { notifierOptions } from '../src/config.js';
import { startFakeGithub } from './fake-github.js';
import { goodConfig, openPlugin } from './open-plugin.js';
import { recordedAnswer } from './recorded-answers.js';
import { sha } from './signed-deliveries.js';

const TOKEN = 'github_pat_good';
const commit: Commit = {
  repository: { id: '42', name: 'acme/web', url: 'https://github.com/acme/web.git' },
  sha: parseCommitSha(sha('2')),
  committedAt: '2026-01-01T00:00:00.000Z',
};
const noticeOf = (state: NoticeState, more: Partial<Notice> = {}): Notice => ({
  subject: 'web-1',
  state,
  title: 'canary runs 1.0',
  text: 'All of it',
  url: 'https://pipit.example.org/runs/web-1',
  commit,
  actions: [],
  ...more,
});

const openWorld = async (settings: Partial<Parameters<typeof openPlugin>[0]> = {}) => {
  const github = await startFakeGithub();
  onTestFinished(() => github.close());
  const open = (more: Partial<Parameters<typeof openPlugin>[0]> = {}) =>
    openPlugin({ ...goodConfig, apiUrl: github.apiUrl, token: TOKEN, ...settings, ...more });
  const { notifier } = await open();
  const tell = (notice: Notice, options: unknown = {}, previous?: string) =>
    notifier.notify({ notice, options: notifierOptions.parse(options), ...(previous === undefined ? {} : { previous }) }, createTestOp({}));
  return { github, open, tell };
};

describe('commit statuses', () => {
  it.each<[NoticeState, string]>([
    ['running', 'pending'],
    ['waiting', 'pending'],
    ['done', 'success'],
    ['failed', 'failure'],
    ['rolledBack', 'failure'],
  ])('show %s as %s', async (state, expected) => {
    const { github, tell } = await openWorld();
    expect(await tell(noticeOf(state), { statuses: { context: 'pipit/web' } })).toBeUndefined();
    expect(github.statuses).toEqual([
      {
        sha: sha('2'),
        state: expected,
        context: 'pipit/web',
        description: 'canary runs 1.0',
        target_url: 'https://pipit.example.org/runs/web-1',
      },
    ]);
  });

  it('shorten a title that GitHub would refuse, and leave out an address that is none of the web', async () => {
    const { github, tell } = await openWorld();
    await tell(noticeOf('done', { title: `a\n${'🐦'.repeat(200)}`, url: 'javascript:alert(1)' }));
    expect([...(github.statuses[0]?.description ?? '')].length).toBe(140);
    expect(github.statuses[0]).not.toHaveProperty('target_url');
  });

  it('are not written for a notice without a commit, nor when the options say so', async () => {
    const { github, tell } = await openWorld();
    const { commit: _commit, ...without } = noticeOf('done');
    expect(await tell(without)).toBeUndefined();
    await tell(noticeOf('done'), { statuses: false });
    expect(github.seen).toEqual([]);
  });
});

describe('deployments', () => {
  const options = { statuses: false, deployments: { environment: 'production' } };

  it('are updated in place by the handle, and found again without it', async () => {
    const { github, tell } = await openWorld();
    const handle = await tell(noticeOf('running'), options);
    expect(await tell(noticeOf('waiting'), options, handle)).toBe(handle);
    expect(await tell(noticeOf('done'), options)).toBe(handle);
    await tell(noticeOf('rolledBack'), options, handle);
    expect(github.deployments).toMatchObject([
      { sha: sha('2'), environment: 'production', payload: { pipit: 'web-1' }, states: ['in_progress', 'pending', 'success', 'inactive'] },
    ]);
  });

  it('of another commit, environment or subject are entries of their own', async () => {
    const { github, tell } = await openWorld();
    const handle = await tell(noticeOf('running'), options);
    await tell(noticeOf('running', { commit: { ...commit, sha: parseCommitSha(sha('3')) } }), options, handle);
    await tell(noticeOf('running'), { ...options, deployments: { environment: 'staging' } }, handle);
    await tell(noticeOf('running', { subject: 'web-2' }), options);
    expect(github.deployments.length).toBe(4);
  });
});

describe('what GitHub refuses', () => {
  it.each([
    ['badCredentials', 'GITHUB_TOKEN_REFUSED', 'stop', /make a new one/],
    ['notAccessible', 'GITHUB_PERMISSION_MISSING', 'stop', /statuses=write/],
    ['scopeMissing', 'GITHUB_PERMISSION_MISSING', 'stop', /repo_deployment/],
    ['singleSignOn', 'GITHUB_PERMISSION_MISSING', 'stop', /single sign-on/],
    ['notFound', 'GITHUB_NOT_FOUND', 'stop', /may not see it/],
    ['validationFailed', 'GITHUB_REQUEST_REFUSED', 'stop', /names in the config/],
    ['primaryRateLimit', 'GITHUB_RATE_LIMITED', 'retry', /2025-11-24T16:00:00/],
    ['secondaryRateLimit', 'GITHUB_RATE_LIMITED', 'retry', /60 s/],
    ['tooManyRequests', 'GITHUB_RATE_LIMITED', 'retry', /a minute/],
    ['serverError', 'GITHUB_SERVER_FAILED', 'reconcile', /githubstatus/],
  ])('%s is %s (%s), with a hint and without the token', async (answer, code, recovery, hint) => {
    const { github, tell } = await openWorld();
    github.world.next.push(recordedAnswer(answer));
    const thrown: unknown = await tell(noticeOf('done')).catch((error: unknown) => error);
    if (!isPluginError(thrown)) throw thrown;
    expect(thrown).toMatchObject({ code, recovery, hint: expect.stringMatching(hint) });
    const { inspect } = await import('node:util');
    expect(inspect(thrown, { depth: 20, showHidden: true })).not.toContain(TOKEN);
  });

  it('is told when nothing listens, as what did not happen', async () => {
    const { github, tell } = await openWorld();
    await github.close();
    await expect(tell(noticeOf('done'))).rejects.toMatchObject({ code: 'HTTP_UNREACHABLE', recovery: 'retry' });
  });

  it('is told of a repository that the config lacks, and of a missing credential', async () => {
    const { tell, open } = await openWorld();
    const other = { ...commit, repository: { ...commit.repository, id: '9', name: 'acme/other' } };
    await expect(tell(noticeOf('done', { commit: other }))).rejects.toMatchObject({ code: 'GITHUB_REPOSITORY_UNKNOWN', recovery: 'stop' });
    const { notifier } = await open({ token: undefined });
    await expect(notifier.notify({ notice: noticeOf('done'), options: notifierOptions.parse({}) }, createTestOp({}))).rejects.toMatchObject(
      {
        code: 'GITHUB_CREDENTIAL_MISSING',
      },
    );
  });

  it('is a broken key of an App, which is not quoted', async () => {
    const { github, open } = await openWorld();
    const privateKey = '-----BEGIN RSA PRIVATE KEY-----\nbroken\n-----END RSA PRIVATE KEY-----\n';
    const { notifier } = await open({ token: undefined, app: { ...github.app, privateKey } });
    const told = notifier.notify({ notice: noticeOf('done'), options: notifierOptions.parse({}) }, createTestOp({}));
    await expect(told).rejects.toMatchObject({ code: 'GITHUB_APP_KEY_BROKEN', message: expect.not.stringContaining('broken\n') });
  });
});

describe('the health of GitHub', () => {
  it('names the missing right, the clock that is off and the repository that cannot be read', async () => {
    const { github, open } = await openWorld();
    github.world.permissions = { metadata: 'read', contents: 'read', statuses: 'write' };
    github.world.headers = { date: 'Tue, 10 Oct 2017 16:00:00 GMT' };
    const { checkHealth } = await open({ token: undefined, app: github.app, repositories: { 'acme/gone': {} } });
    expect(await checkHealth(createTestCall())).toMatchObject([
      { name: 'app', ok: true },
      { name: 'permissions', ok: true, detail: 'contents, but not deployments' },
      { name: 'clock', ok: false, detail: expect.stringContaining('ahead of') },
      { name: 'repository acme/gone', ok: false, detail: expect.stringContaining('GITHUB_NOT_FOUND') },
    ]);
  });

  it('tells of a token that was refused', async () => {
    const { open } = await openWorld();
    const { checkHealth } = await open({ token: 'github_pat_revoked', repositories: {} });
    expect(await checkHealth(createTestCall())).toMatchObject([
      { name: 'api', ok: false, hint: expect.stringContaining('make a new one') },
    ]);
  });
});
