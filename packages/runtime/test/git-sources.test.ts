import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAppName, parseCommitSha, parseRefName, type RepositoryRef } from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createGitSources } from '../src/sources/git-sources.js';

const signal = AbortSignal.timeout(60_000);
const main = parseRefName('refs/heads/main');

let folder: string;
let sources: ReturnType<typeof createGitSources>;
let repository: RepositoryRef;

const git = async (...argv: string[]): Promise<string> => {
  const env = {
    ...minimalEnvironment(folder),
    GIT_AUTHOR_NAME: 'Ada',
    GIT_AUTHOR_EMAIL: 'ada@example.org',
    GIT_COMMITTER_NAME: 'Ada',
    GIT_COMMITTER_EMAIL: 'ada@example.org',
    GIT_COMMITTER_DATE: '2026-01-02T03:04:05Z',
  };
  const { exitCode, stdout, stderr } = await runCommand(['git', '-C', join(folder, 'work'), ...argv], { cwd: folder, env });
  if (exitCode !== 0) throw new Error(stderr);
  return stdout.trim();
};

const commit = async (content: string) => {
  await writeFile(join(folder, 'work/content'), content);
  await git('add', '--all');
  await git('commit', '--quiet', '--message', content);
  return parseCommitSha(await git('rev-parse', 'HEAD'));
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pipit-sources-'));
  await mkdir(join(folder, 'work'));
  await mkdir(join(folder, 'sources'));
  await git('init', '--quiet', '--initial-branch=main');
  repository = { id: '1', name: 'acme/web', url: join(folder, 'work') };
  sources = createGitSources({ folder: join(folder, 'sources'), accessFor: async () => undefined });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('reads a commit, its time and its files, and the head of a ref', async () => {
  const sha = await commit('one');
  const fetched = await sources.fetchCommit(repository, main, sha, signal);
  expect(fetched).toEqual({ repository, sha, committedAt: '2026-01-02T03:04:05.000Z' });
  expect(await sources.sourceOf(fetched, signal).readText('content')).toBe('one');
  expect(await sources.sourceOf(fetched, signal).readText('nothing')).toBeUndefined();
  expect(await sources.readHead(repository, main, signal)).toEqual({ commit: sha, object: sha });
  expect(await sources.readHead(repository, parseRefName('refs/heads/none'), signal)).toBeUndefined();
});

it('tells the commit of an annotated tag beside the tag itself', async () => {
  const sha = await commit('tagged');
  await git('tag', '--annotate', '--message', 'The first', 'v1');
  const object = await git('rev-parse', 'v1');
  expect(object).not.toBe(sha);
  expect(await sources.readHead(repository, parseRefName('refs/tags/v1'), signal)).toEqual({ commit: sha, object });
});

it('says so when the repository has no such commit, and tries again when it cannot be reached', async () => {
  await commit('two');
  const missing = parseCommitSha('1'.repeat(40));
  await expect(sources.fetchCommit(repository, main, missing, signal)).rejects.toMatchObject({
    code: 'COMMIT_NOT_FOUND',
    recovery: 'stop',
  });
  const away = { ...repository, url: join(folder, 'away') };
  await expect(sources.fetchCommit(away, main, missing, signal)).rejects.toMatchObject({ code: 'GIT_FAILED', recovery: 'retry' });
});

it('still finds the old commit after a force push', async () => {
  const old = await commit('old');
  await git('commit', '--quiet', '--amend', '--message', 'new');
  expect(await sources.fetchCommit(repository, main, old, signal)).toMatchObject({ sha: old });
});

it('names what differs between two commits, and every path when the older one is not known', async () => {
  const before = await commit('a');
  await writeFile(join(folder, 'work/other'), 'b');
  const sha = await commit('b');
  expect(await sources.readChangedPaths(repository, { ref: main, sha, before }, signal)).toEqual(['content', 'other']);
  const unknown = parseCommitSha('2'.repeat(40));
  expect(await sources.readChangedPaths(repository, { ref: main, sha, before: unknown }, signal)).toEqual(['content', 'other']);
});

it('refuses a pipit.yaml that is not valid, with its line', async () => {
  await writeFile(join(folder, 'work/pipit.yaml'), 'version: 1.0.0\nhosts: [web1]\n');
  const sha = await commit('c');
  const fetched = await sources.fetchCommit(repository, main, sha, signal);
  await expect(sources.readFacts(fetched, parseAppName('web'), signal)).rejects.toMatchObject({
    code: 'REPOSITORY_FILE_INVALID',
    message: expect.stringContaining('line 2'),
  });
});

it('removes what a killed process left, and no mirror', async () => {
  const sha = await commit('d');
  await sources.fetchCommit(repository, main, sha, signal);
  const place = join(folder, 'sources');
  const mirrors = await readdir(place);
  expect(mirrors).toHaveLength(2); // the one that was never reached has a mirror too
  await mkdir(join(place, 'checkout-aB3xYz/tree'), { recursive: true });
  await mkdir(join(place, 'git-aB3xYz'));
  await writeFile(join(place, 'git-aB3xYz/askpass'), 'echo');
  await sources.removeLeftovers();
  expect(await readdir(place)).toEqual(mirrors);
  expect(await readFile(join(place, mirrors[0] ?? '', 'HEAD'), 'utf8')).toContain('ref:');
});
