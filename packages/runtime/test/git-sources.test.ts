import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createStrangersYamlParser, type ParseStrangersYaml } from '@pipit/config';
import { parseAppName, parseCommitSha, parseRefName, type RepositoryRef } from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createGitSources } from '../src/sources/git-sources.js';

const signal = AbortSignal.timeout(60_000);
const main = parseRefName('refs/heads/main');
const TREE_LIMITS = { bytes: 64 * 1024 * 1024, files: 100_000 };

const parseInThread = createStrangersYamlParser();
/** Texts that were parsed, and what is parsed with. */
let parsedTexts: string[] = [];
let parseWith: ParseStrangersYaml = parseInThread;
const parseYaml: ParseStrangersYaml = (text, task) => {
  parsedTexts.push(text);
  return parseWith(text, task);
};

let folder: string;
let sources: ReturnType<typeof createGitSources>;
let repository: RepositoryRef;

const git = (...argv: string[]): Promise<string> => gitWithInput('', ...argv);
const gitWithInput = async (input: string, ...argv: string[]): Promise<string> => {
  const env = {
    ...minimalEnvironment(folder),
    GIT_AUTHOR_NAME: 'Ada',
    GIT_AUTHOR_EMAIL: 'ada@example.org',
    GIT_COMMITTER_NAME: 'Ada',
    GIT_COMMITTER_EMAIL: 'ada@example.org',
    GIT_COMMITTER_DATE: '2026-01-02T03:04:05Z',
  };
  const { exitCode, stdout, stderr } = await runCommand(['git', '-C', join(folder, 'work'), ...argv], { cwd: folder, env, input });
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
  sources = createGitSources({ folder: join(folder, 'sources'), accessFor: async () => undefined, parseYaml, treeLimits: TREE_LIMITS });
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
  expect(await sources.readChangedPaths(repository, { ref: main, sha, before }, signal)).toEqual({
    paths: ['content', 'other'],
    isCut: false,
  });
  const unknown = parseCommitSha('2'.repeat(40));
  expect(await sources.readChangedPaths(repository, { ref: main, sha, before: unknown }, signal)).toEqual({
    paths: ['content', 'other'],
    isCut: false,
  });
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

describe('a pipit.yaml that anybody may have written', () => {
  const app = parseAppName('web');
  /** Once more, as after a restart: nothing is in memory. */
  const restarted = () =>
    createGitSources({ folder: join(folder, 'sources'), accessFor: async () => undefined, parseYaml, treeLimits: TREE_LIMITS });
  const push = async (text: string) => {
    await rm(join(folder, 'work/pipit.yaml'), { force: true });
    await writeFile(join(folder, 'work/pipit.yaml'), text);
    const sha = await commit(text.slice(0, 20));
    return sources.fetchCommit(repository, main, sha, signal);
  };
  beforeEach(() => {
    parsedTexts = [];
    parseWith = parseInThread;
  });

  it('is parsed once, and not again for commits that do not change it', async () => {
    const first = await push('version: 3.1.4\n');
    for (let times = 0; times < 3; times += 1) expect((await sources.readFacts(first, app, signal)).baseVersion).toBe('3.1.4');
    const sha = await commit('something else');
    const second = await sources.fetchCommit(repository, main, sha, signal);
    expect((await sources.readFacts(second, app, signal)).baseVersion).toBe('3.1.4');
    expect(parsedTexts).toHaveLength(1);
  });

  it('is refused with the commit that was asked for, once parsed', async () => {
    const first = await push('nothing: known\n');
    await expect(sources.readFacts(first, app, signal)).rejects.toThrow(first.sha.slice(0, 7));
    const second = await sources.fetchCommit(repository, main, await commit('next'), signal);
    await expect(sources.readFacts(second, app, signal)).rejects.toThrow(second.sha.slice(0, 7));
    expect(parsedTexts).toHaveLength(1);
  });

  it('is not parsed again when it broke its parser, after a restart neither', async () => {
    parseWith = async () => ({
      value: null,
      entries: [],
      problems: [{ code: 'YAML_BROKE_PARSER', message: 'no', offset: 0, path: [] }],
      brokeParser: true,
    });
    const pushed = await push('version: 6.6.6\n');
    const refused = { code: 'REPOSITORY_FILE_BROKE_PARSER', recovery: 'stop' };
    await expect(sources.readFacts(pushed, app, signal)).rejects.toMatchObject(refused);
    await expect(sources.readFacts(pushed, app, signal)).rejects.toMatchObject(refused);
    await expect(restarted().readFacts(pushed, app, signal)).rejects.toMatchObject(refused);
    expect(parsedTexts).toHaveLength(1);
  });

  it('is not parsed for ever by processes that end while they parse it', async () => {
    const pushed = await push('version: 7.7.7\n');
    const mirror = (await readdir(join(folder, 'sources'))).map((name) => join(folder, 'sources', name, 'pipit-parsing'));
    const object = await git('rev-parse', `${pushed.sha}:pipit.yaml`);
    for (const path of mirror) {
      await mkdir(path, { recursive: true });
      await writeFile(join(path, object), '2');
    }
    expect((await restarted().readFacts(pushed, app, signal)).baseVersion).toBe('7.7.7');
    for (const path of mirror) await writeFile(join(path, object), '3');
    await expect(restarted().readFacts(pushed, app, signal)).rejects.toMatchObject({ code: 'REPOSITORY_FILE_BROKE_PARSER' });
    expect(parsedTexts).toHaveLength(1);
  });

  it('is tried again when its parser could not be started', async () => {
    parseWith = () => Promise.reject(new Error('no threads'));
    const pushed = await push('version: 8.8.8\n');
    for (let times = 0; times < 4; times += 1) await expect(sources.readFacts(pushed, app, signal)).rejects.toThrow('no threads');
    parseWith = parseInThread;
    expect((await sources.readFacts(pushed, app, signal)).baseVersion).toBe('8.8.8');
  });

  it.each([
    ['a link', () => symlink('/etc/hostname', join(folder, 'work/pipit.yaml'))],
    ['a folder', () => mkdir(join(folder, 'work/pipit.yaml')).then(() => writeFile(join(folder, 'work/pipit.yaml/version'), '1'))],
    ['larger than 64 KiB', () => writeFile(join(folder, 'work/pipit.yaml'), `#${'x'.repeat(65_536)}`)],
    ['larger than what git may answer', () => writeFile(join(folder, 'work/pipit.yaml'), '#'.repeat(3_000_000))],
  ])('is refused unread when it is %s', async (_what, make) => {
    await rm(join(folder, 'work/pipit.yaml'), { recursive: true, force: true });
    await make();
    const fetched = await sources.fetchCommit(repository, main, await commit('odd'), signal);
    await expect(sources.readFacts(fetched, app, signal)).rejects.toMatchObject({ code: 'REPOSITORY_FILE_INVALID', recovery: 'stop' });
    expect(parsedTexts).toEqual([]);
    await rm(join(folder, 'work/pipit.yaml'), { recursive: true, force: true });
    await commit('even');
  });
});

it('refuses to read a file that is too large to come back whole', async () => {
  await writeFile(join(folder, 'work/large'), 'x'.repeat(1024 * 1024 + 1));
  const fetched = await sources.fetchCommit(repository, main, await commit('large'), signal);
  await expect(sources.sourceOf(fetched, signal).readText('large')).rejects.toMatchObject({ code: 'SOURCE_FILE_NOT_READ' });
  await rm(join(folder, 'work/large'));
  await commit('small');
});

it('says so when more paths changed than it reads', async () => {
  const before = await commit('few');
  const blob = await git('rev-parse', `${before}:content`);
  const tree = await gitWithInput(
    Array.from({ length: 12_000 }, (_, at) => `100644 blob ${blob}\t${'p'.repeat(90)}${at}`).join('\n'),
    'mktree',
  );
  const sha = parseCommitSha(await git('commit-tree', '-p', before, '-m', 'many', tree));
  await git('update-ref', 'refs/heads/many', sha);
  const changed = await sources.readChangedPaths(repository, { ref: parseRefName('refs/heads/many'), sha, before }, signal);
  expect(changed.isCut).toBe(true);
  expect(changed.paths.every((path) => /^(?:p{90}\d+|content|other|pipit\.yaml)$/.test(path))).toBe(true);
});

describe('a push of some kilobytes that means far more', () => {
  /** A tree of so many entries of one object, in one of so many entries of that, and so on. */
  const nest = async (object: string, kind: 'blob' | 'tree', widths: readonly number[]): Promise<string> => {
    const [width, ...rest] = widths;
    if (width === undefined) return object;
    const mode = kind === 'blob' ? '100644' : '040000';
    const lines = Array.from({ length: width }, (_, at) => `${mode} ${kind} ${object}\tn${at}`);
    return nest(await gitWithInput(lines.join('\n'), 'mktree'), 'tree', rest);
  };
  const commitOf = async (tree: string) => {
    const sha = parseCommitSha(await git('commit-tree', '-m', 'bomb', tree));
    await git('update-ref', 'refs/heads/bomb', sha);
    return sources.fetchCommit(repository, parseRefName('refs/heads/bomb'), sha, signal);
  };
  const at = {
    folder: '/nowhere',
    run: () => Promise.reject(new Error('ran')),
    write: () => Promise.reject(new Error('wrote')),
    read: () => [],
  };

  it.each([
    ['bytes', async () => nest(await gitWithInput('x'.repeat(1024 * 1024), 'hash-object', '-w', '--stdin'), 'blob', [100])],
    [
      'files',
      async () =>
        nest(
          await gitWithInput('', 'hash-object', '-w', '--stdin'),
          'blob',
          Array.from({ length: 12 }, () => 10),
        ),
    ],
    [
      'folders without a file',
      async () =>
        nest(
          await gitWithInput('', 'mktree'),
          'tree',
          Array.from({ length: 12 }, () => 10),
        ),
    ],
  ])('is not laid out: %s', async (_what, make) => {
    const bomb = await commitOf(await make());
    const before = await readdir(join(folder, 'sources'));
    await expect(sources.sourceOf(bomb, signal).checkOut(at as never, 'tree')).rejects.toMatchObject({
      code: 'COMMIT_TOO_LARGE',
      recovery: 'stop',
    });
    expect(await readdir(join(folder, 'sources'))).toEqual(before);
    const change = { ref: parseRefName('refs/heads/bomb'), sha: bomb.sha, before: undefined };
    await expect(sources.readChangedPaths(repository, change, signal)).rejects.toMatchObject({ code: 'COMMIT_TOO_LARGE' });
  });
});

it.each(['9223372036854775', '253402300800'])('refuses a commit whose time is %s seconds after 1970, for good', async (seconds) => {
  const tree = await gitWithInput('', 'mktree');
  const text = `tree ${tree}\nauthor A <a@example.org> 1 +0000\ncommitter A <a@example.org> ${seconds} +0000\n\nlate\n`;
  const sha = parseCommitSha(await gitWithInput(text, 'hash-object', '-t', 'commit', '-w', '--literally', '--stdin'));
  await git('update-ref', 'refs/heads/late', sha);
  const fetching = sources.fetchCommit(repository, parseRefName('refs/heads/late'), sha, signal);
  await expect(fetching).rejects.toMatchObject({ code: 'COMMIT_TIME_INVALID', recovery: 'stop' });
});

it('knows which commits are of a ref, and which git could fetch besides', async () => {
  const old = await commit('of main 1');
  const head = await commit('of main 2');
  await git('checkout', '--quiet', '-b', 'proposal', old);
  const proposed = await commit('proposed');
  await git('update-ref', 'refs/pull/1/head', proposed);
  await git('checkout', '--quiet', 'main');
  await git('branch', '--quiet', '-D', 'proposal');
  const isOfMain = (sha: string) => sources.isOfRef({ repository, ref: main, sha: parseCommitSha(sha) }, signal);
  expect(await isOfMain(head)).toBe(true);
  expect(await isOfMain(old)).toBe(true);
  // Also when the mirror has it from elsewhere.
  await sources.fetchCommit(repository, parseRefName('refs/pull/1/head'), proposed, signal);
  expect(await isOfMain(proposed)).toBe(false);
  expect(await isOfMain('3'.repeat(40))).toBe(false);
  expect(await sources.isOfRef({ repository, ref: parseRefName('refs/heads/none'), sha: head }, signal)).toBe(false);
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
