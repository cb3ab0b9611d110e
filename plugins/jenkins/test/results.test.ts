import { readFileSync } from 'node:fs';
import { parseAppName, parseCommitSha, parseRefName } from '@pipit/core';
import { describe, expect, it } from 'vitest';
import { adoptableBuild } from '../src/adopt-build.js';
import { builtCommit, normalizeRemote } from '../src/built-commit.js';
import { type Build, build, parameterOf, queue } from '../src/jenkins-answers.js';
import { jobAddress, jobPathOf, parseJobName } from '../src/job-path.js';
import { mapBuildResult } from '../src/map-build-result.js';

const sha = parseCommitSha('c6d86dc654b12425e706bcf951adfe5a8627a517');
const other = '1'.repeat(40);
const fixture = (name: string): unknown =>
  JSON.parse(
    readFileSync(new URL(`../src/__fixtures__/${name}`, import.meta.url), 'utf8')
      .replaceAll('COMMIT"', `${sha}"`)
      .replaceAll('PIPIT_c6d86dc654b12425e706bcf951adfe5a8627a517', 'PIPIT_COMMIT'),
  );
const ofPipeline = build.parse(fixture('written-after-jenkins-2.440-build-of-a-pipeline.json'));
const wanted = { commit: sha, remote: 'https://example.org/acme/web', parameter: 'PIPIT_COMMIT' };

const withParameter = (value: string, more: Partial<Build> = {}): Build => ({
  ...ofPipeline,
  actions: [{ parameters: [{ name: 'PIPIT_COMMIT', value }] }],
  ...more,
});

describe('answers of a real Jenkins 1.514', () => {
  it('are read: a build, and the queue with its reason', () => {
    expect(parameterOf(build.parse(fixture('jenkins-1.514-build.json')), 'PIPIT_KEY')).toBe('a:b:1');
    expect(queue.parse(fixture('jenkins-1.514-queue.json')).items[0]?.why).toBe('Waiting for next available executor');
  });
});

describe('the commit of a build', () => {
  it("is git's record of the right remote, whatever else was checked out", () => {
    expect(builtCommit(ofPipeline, wanted)).toEqual({ commit: sha });
    expect(builtCommit(ofPipeline, { ...wanted, remote: 'https://example.org/acme/shared-library' })).toEqual({ commit: other });
  });

  it('is unknown when only other remotes were checked out, even with the right parameter', () => {
    const build = { ...ofPipeline, actions: [...ofPipeline.actions, { parameters: [{ name: 'PIPIT_COMMIT', value: sha }] }] };
    expect(builtCommit(build, { ...wanted, remote: 'https://example.org/acme/other' })).toEqual({
      unknown: expect.stringContaining('`remote`'),
    });
  });

  it('is the parameter where there is no record, and unknown when that is no commit', () => {
    expect(builtCommit(withParameter(sha), wanted)).toEqual({ commit: sha });
    expect(builtCommit(withParameter('main'), wanted)).toEqual({ unknown: expect.stringContaining('"main"') });
    expect(builtCommit({ ...ofPipeline, actions: [null, {}] }, wanted)).toEqual({ unknown: expect.stringContaining('no parameter') });
  });

  it.each([
    ['git@example.org:acme/web.git', 'example.org/acme/web'],
    ['https://ada:x@Example.org:8443/acme/web/', 'example.org/acme/web'],
    ['ssh://git@example.org:2222/acme/web.git', 'example.org/acme/web'],
    ['/srv/git/web.git', '/srv/git/web'],
    ['file:///srv/git/web', '/srv/git/web'],
  ])('has a remote that is known by host and path: %s', (remote, expected) => {
    expect(normalizeRemote(remote)).toBe(expected);
  });
});

describe('the result', () => {
  const strict = { unstable: 'failed', aborted: 'cancelled' } as const;
  const lax = { unstable: 'passed', aborted: 'failed' } as const;
  it.each([
    ['SUCCESS', strict, 'passed'],
    ['UNSTABLE', strict, 'failed'],
    ['UNSTABLE', lax, 'passed'],
    ['ABORTED', strict, 'cancelled'],
    ['ABORTED', lax, 'failed'],
    ['NOT_BUILT', lax, 'failed'],
    ['FAILURE', lax, 'failed'],
  ])('%s with %o is %s', (raw, policy, outcome) => {
    expect(mapBuildResult(raw, 'Build 1 of web', { commit: sha }, policy)).toMatchObject({ outcome, raw });
  });

  it('is no pass when nobody knows what was built', () => {
    expect(mapBuildResult('SUCCESS', 'Build 1', { unknown: 'why' }, strict)).toMatchObject({ outcome: 'failed', raw: 'SUCCESS' });
  });
});

describe('adoption', () => {
  const at = (timestamp: number, result: string | null, building = false) =>
    withParameter(sha, { timestamp, duration: 10, result, building });
  const adoption = { since: 1_000, again: false, withinMs: 500 };
  it('takes the newest build of the commit, also one from before, but none from after the waiting', () => {
    expect(adoptableBuild([withParameter(other), at(900, 'FAILURE'), at(800, 'SUCCESS')], wanted, adoption)?.timestamp).toBe(900);
    expect(adoptableBuild([at(1_501, 'SUCCESS')], wanted, adoption)).toBeUndefined();
  });
  it("passes over a failed build of before for a person's retry, but not one that runs or passed", () => {
    const again = { ...adoption, again: true };
    expect(adoptableBuild([at(900, 'FAILURE')], wanted, again)).toBeUndefined();
    expect(adoptableBuild([at(900, null, true)], wanted, again)?.timestamp).toBe(900);
    expect(adoptableBuild([at(900, 'SUCCESS')], wanted, again)?.timestamp).toBe(900);
  });
});

describe("a job's name", () => {
  it.each([
    ['shop', ['shop']],
    ['a/b', ['a', 'b']],
    ['a/job/b', ['a', 'b']],
    ['/job/a/job/b/', ['a', 'b']],
    ['a//b', undefined],
    ['a/../b', undefined],
  ])('is read: %s', (text, expected) => {
    expect(parseJobName(text)).toEqual(expected);
  });

  it.each([
    ['refs/heads/feature/log in@2'.replace(' ', '-'), 'job/acme/job/web/job/feature%252Flog-in%25402/'],
    ['refs/tags/v1.0', 'job/acme/job/web/job/v1.0/'],
    ['refs/pull/12/head', 'job/acme/job/web/job/PR-12/'],
  ])('of a multibranch project comes from the ref: %s', (ref, expected) => {
    const path = jobPathOf({ job: `acme/$\{app}`, multibranch: true }, parseAppName('web'), parseRefName(ref));
    expect(jobAddress(path)).toBe(expected);
  });
});
