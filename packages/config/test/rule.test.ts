import { type ChangeEvent, isPluginError, parseCommitSha, parseRefName } from '@pipit/core';
import fc from 'fast-check';
import picomatch from 'picomatch';
import { describe, expect, it } from 'vitest';
import { compileGlob } from '../src/compile-glob.js';
import { compileRule, matchPipeline, ruleEventOf, type TriggerRule, takesRef } from '../src/index.js';
import { load, minimal } from './sample-plugins.js';

const push = (ref: string, fields: Partial<ChangeEvent> = {}): ChangeEvent => ({
  key: 'delivery-1',
  repository: { id: '1', name: 'acme/web', url: 'https://git.example.org/acme/web.git' },
  ref: parseRefName(ref),
  sha: parseCommitSha('a'.repeat(40)),
  ...fields,
});

const unasked = (): Promise<never> => Promise.reject(new Error('The changed paths were asked for'));

const judge = (rule: TriggerRule, event: ChangeEvent, paths?: readonly string[]) =>
  compileRule(rule)({ event: ruleEventOf(event), changedPaths: paths === undefined ? unasked : async () => ({ paths, isCut: false }) });

describe('takesRef', () => {
  it.each<[TriggerRule, string, boolean]>([
    [{}, 'refs/heads/main', true],
    [{}, 'refs/heads/trunk', false],
    [{ branches: ['trunk'] }, 'refs/heads/main', false],
    [{ branches: ['trunk'] }, 'refs/heads/trunk', true],
    [{ tags: ['v*'] }, 'refs/tags/v1', true],
    [{ tags: ['v*'] }, 'refs/heads/main', false],
    // Of each event of its own, so they say nothing of the ref.
    [{ when: 'event.branch == "trunk"' }, 'refs/heads/main', true],
    [{ branches: ['main'], paths: ['docs/**'] }, 'refs/heads/main', true],
  ])('says whether %j lets %s in: %s', (rule, ref, expected) => {
    expect(takesRef(rule, ref)).toBe(expected);
  });
});

describe('compileRule', () => {
  it.each<[string, TriggerRule, string, boolean, string]>([
    ['main without any rule', {}, 'refs/heads/main', true, 'branch main is among main, master'],
    ['another branch without any rule', {}, 'refs/heads/feature/x', false, 'branch feature/x is not among main, master'],
    ['a tag without any rule', {}, 'refs/tags/v1', false, 'v1 is a tag, and the trigger lists no tags'],
    ['a ref that is no branch without any rule', {}, 'refs/notes/x', false, 'refs/notes/x is neither a branch nor a tag'],
    [
      'a branch with slashes by its name',
      { branches: ['release/2024/q1'] },
      'refs/heads/release/2024/q1',
      true,
      'branch release/2024/q1 is among release/2024/q1',
    ],
    ['a branch with slashes by **', { branches: ['feature/**'] }, 'refs/heads/feature/a/b', true, 'branch feature/a/b is among feature/**'],
    [
      '* within one segment only',
      { branches: ['feature/*'] },
      'refs/heads/feature/a/b',
      false,
      'branch feature/a/b is not among feature/*',
    ],
    ['an excluded branch', { branches: ['**', '!wip/**'] }, 'refs/heads/wip/x', false, 'branch wip/x is not among **, !wip/**'],
    ['what is left by an exclusion alone', { branches: ['!wip/**'] }, 'refs/heads/main', true, 'branch main is among !wip/**'],
    ['a tag', { tags: ['v*'] }, 'refs/tags/v1.2', true, 'tag v1.2 is among v*'],
    ['main when only tags are listed', { tags: ['v*'] }, 'refs/heads/main', false, 'main is a branch, and the trigger lists no branches'],
    ['either of branches and tags', { branches: ['main'], tags: ['v*'] }, 'refs/tags/v1', true, 'tag v1 is among v*'],
    [
      'any branch that an expression alone takes',
      { when: "event.branch.startsWith('x/')" },
      'refs/heads/x/y',
      true,
      "when: event.branch.startsWith('x/') is true",
    ],
    [
      'a branch that an expression refuses',
      { when: "event.branch == 'main'" },
      'refs/heads/dev',
      false,
      "when: event.branch == 'main' is false",
    ],
    [
      'branch and expression',
      { branches: ['main'], when: "event.repository == 'acme/api'" },
      'refs/heads/main',
      false,
      "when: event.repository == 'acme/api' is false",
    ],
  ])('judges %s', async (_what, rule, ref, matches, reason) => {
    expect(await judge(rule, push(ref))).toEqual({ matches, reason });
  });

  it('never matches a deleted ref', async () => {
    const deleted = push('refs/heads/main', { sha: null });
    expect(await judge({ when: 'event.deleted' }, deleted)).toEqual({ matches: false, reason: 'refs/heads/main was deleted' });
  });

  it('asks for changed paths only when all else matched, and wants one that matches', async () => {
    const rule = { paths: ['src/**', '!**/*.md'] };
    await expect(judge(rule, push('refs/heads/main'))).rejects.toThrow('asked for');
    expect((await judge(rule, push('refs/heads/dev'))).matches).toBe(false);
    expect(await judge(rule, push('refs/heads/main'), ['README.md', 'src/a.md'])).toEqual({
      matches: false,
      reason: 'none of the 2 changed paths is among src/**, !**/*.md',
    });
    expect(await judge(rule, push('refs/heads/main'), ['README.md', 'src/.hidden/a.ts'])).toEqual({
      matches: true,
      reason: 'branch main is among main, master; src/.hidden/a.ts is among src/**, !**/*.md',
    });
  });

  it('does not match, and says so, when an expression cannot be evaluated', async () => {
    const result = await judge({ when: "event.branch.matches('(')" }, push('refs/heads/main'));
    expect(result.matches).toBe(false);
    expect(result.reason).toContain('could not be evaluated');
  });

  it('refuses an expression that is none', () => {
    let thrown: unknown;
    try {
      compileRule({ when: 'event.brnch' });
    } catch (error) {
      thrown = error;
    }
    expect(isPluginError(thrown) && thrown.code).toBe('RULE_INVALID');
  });
});

describe('matchPipeline', () => {
  it('takes the first pipeline whose globs match, of the trigger that told', async () => {
    const second = minimal()
      .replace('pipelines:\n', '')
      .replace('  web:', '  rest:')
      .replace('acme/*', '**')
      .replace('trigger: local', 'trigger: other');
    const result = await load(minimal() + second, { loadPlugin: async () => (await import('./sample-plugins.js')).local });
    if (!result.ok) throw new Error('The config was refused');
    expect(matchPipeline(result.config, 'acme/web')?.name).toBe('web');
    expect(matchPipeline(result.config, 'acme/web', 'other')?.name).toBe('rest');
    expect(matchPipeline(result.config, 'umbrella/web')?.name).toBe('rest');
    expect(matchPipeline(result.config, 'umbrella/web', 'local')).toBeUndefined();
  });
});

describe('names that anybody who may push can choose', () => {
  const branch = (name: string): ChangeEvent => push(`refs/heads/${name}`);

  it.each([
    ['*a*a*a*a*a*b', 'a'.repeat(1_000)],
    ['release/*-*-*-*-*.*', `release/${'-'.repeat(900)}`],
    ['{a,aa}{a,aa}{a,aa}*b', 'a'.repeat(1_000)],
    ['**/a/**/a/**/a/**/b', 'a/'.repeat(500)],
    ['+(a|aa)b', 'a'.repeat(1_000)],
  ])('are matched with %s in time', async (pattern, name) => {
    expect((await judge({ branches: [pattern] }, branch(`${name}x`))).matches).toBe(false);
  });

  it('cost no more than a deadline where a regular expression is matched with them', async () => {
    const rule = { when: String.raw`event.branch.matches('^(\\w+-?)+$')` };
    expect(await judge(rule, branch('feature-login'))).toMatchObject({ matches: true });
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 10);
    const judged = await judge(rule, branch(`${'a'.repeat(60)}!`));
    clearInterval(timer);
    expect(judged).toMatchObject({ matches: false, reason: expect.stringContaining('could not be evaluated') });
    expect(turns).toBeGreaterThan(10);
  });

  it('match as the library does that is meant for globs', () => {
    const pieces = ['a', 'b', '*', '**', '/', '?', '{a,b}', '[ab]', '[^a]', '.', '-', '*/', '/**', '**/', '{a,b/c}', String.raw`\*`];
    const words = fc.array(fc.constantFrom('a', 'b', '/', 'c', '.', '-', 'ab', 'a/b', '*'), { minLength: 1, maxLength: 6 });
    const isPlain = (text: string): boolean => !/\/\/|^\/|\/$|(?:^|\/)\.{1,2}(?:\/|$)/.test(text);
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 5 }), words, (patternPieces, textPieces) => {
        const [pattern, text] = [patternPieces.join(''), textPieces.join('')];
        fc.pre(isPlain(text) && !/\/\/|^\/|\/$|\*{3}|\*\*\./.test(pattern));
        const expected = picomatch(pattern, { dot: true, nonegate: true })(text);
        // The library lets `a/**` match `a`, and `*/**` not.
        if (expected || !pattern.endsWith('/**')) expect(compileGlob(pattern)(text), `${pattern} ${text}`).toBe(expected);
      }),
      { numRuns: 3_000, seed: 7 },
    );
  });
});

it('starts a pipeline for more paths than are read, rather than losing a push', async () => {
  const rule = compileRule({ paths: ['docs/**'] });
  const changedPaths = (isCut: boolean) => async () => ({ paths: ['src/a'], isCut });
  const event = ruleEventOf(push('refs/heads/main'));
  expect((await rule({ event, changedPaths: changedPaths(true) })).matches).toBe(true);
  expect((await rule({ event, changedPaths: changedPaths(false) })).matches).toBe(false);
});
