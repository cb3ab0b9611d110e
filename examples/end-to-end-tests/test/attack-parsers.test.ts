import { createHash } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { APP, createInstallation, type Installation } from './support/installation.js';
import { sampleApp } from './support/sample-app.js';
import { waitUntil } from './support/wait-until.js';

const TEST_TIMEOUT_MS = 180_000;
const OTHER_APP = 'blog';
/** An attack of seconds would be seen; a slow machine is not an attack. */
const MAX_ANSWER_MS = 1_000;

let installation: Installation;

beforeAll(async () => {
  installation = await createInstallation({ rings: [{ name: 'canary' }], hosts: { web1: 'canary' }, otherApps: [OTHER_APP] });
  await installation.start();
}, TEST_TIMEOUT_MS);
afterAll(() => installation?.remove());

const isEnded = (run: Readonly<Record<string, unknown>>): boolean => run.state === 'ended';
const failureOf = async (sha: string) => {
  const { id, outcome, reason } = await installation.waitForRun(sha, 'it has ended', isEnded);
  const [operation] = await installation.query('select error from operations where run_id = $1', [id]);
  return { outcome, reason, error: operation?.error };
};
const refusedAs = (code: string) => ({
  outcome: 'failed',
  reason: expect.stringContaining('pipit.yaml of commit'),
  error: { code, hint: expect.any(String) },
});

/** Measures how long the server takes to answer, until it is stopped. */
const watchServer = () => {
  let slowestMs = 0;
  let stopped = false;
  const watching = (async () => {
    while (!stopped) {
      const began = performance.now();
      await fetch(`${installation.url}/healthz`).then((answer) => answer.text());
      slowestMs = Math.max(slowestMs, performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  return async (): Promise<number> => {
    stopped = true;
    await watching;
    return slowestMs;
  };
};

const mergeBomb = ['a0: &a0 { x: 1 }', ...Array.from({ length: 30 }, (_, at) => `a${at + 1}: &a${at + 1} { <<: [*a${at}, *a${at}] }`)].join(
  '\n',
);

const HOSTILE = {
  'aliases whose resolution is quadratic': `a: &a x\nb:\n${'- *a\n'.repeat(12_000)}`,
  'merge keys that double': mergeBomb,
  'deep nesting': '['.repeat(60_000),
  'one huge key': `${'k'.repeat(60_000)}: 1\n`,
  'thousands of keys': Array.from({ length: 8_000 }, (_, at) => `k${at}: `).join('\n'),
  'thousands of wrong values': `depends: [${'"",'.repeat(3_000)}]\n`,
  'bytes that are no UTF-8, and a NUL': Uint8Array.of(0x61, 0x3a, 0xff, 0xfe, 0x00, 0x0a),
  'a link to a file of the machine': { linkTo: '/etc/passwd' },
  'three megabytes': '# x\n'.repeat(750_000),
};

describe('whoever may push to one repository', () => {
  it('neither slows down the server with a pipit.yaml nor keeps another app from its delivery', { timeout: TEST_TIMEOUT_MS }, async () => {
    const stop = watchServer();
    try {
      const other = await installation.developerOf(OTHER_APP).push(sampleApp(installation.counter));
      const { 'pipit.yaml': _own, ...app } = sampleApp(installation.counter);
      for (const [what, file] of Object.entries(HOSTILE)) {
        const sha = await installation.developer.push({ ...app, 'pipit.yaml': file, why: what });
        expect(await failureOf(sha), what).toMatchObject(refusedAs('REPOSITORY_FILE_INVALID'));
      }
      expect(await installation.waitForRun(other, 'it has ended', isEnded, 90_000)).toMatchObject({ outcome: 'succeeded' });
    } finally {
      expect(await stop()).toBeLessThan(MAX_ANSWER_MS);
    }
  });

  it('makes it parse no file again that broke its parser, after a restart neither', { timeout: TEST_TIMEOUT_MS }, async () => {
    // As the processes left it that ended while they parsed this file.
    const file = 'version: 6.6.6\n';
    const object = createHash('sha1').update(`blob ${file.length}\0${file}`).digest('hex');
    const sources = join(installation.dataFolder, 'sources');
    for (const mirror of await readdir(sources)) {
      await mkdir(join(sources, mirror, 'pipit-parsing'), { recursive: true });
      await writeFile(join(sources, mirror, 'pipit-parsing', object), '3');
    }
    const sha = await installation.developer.push({ 'pipit.yaml': file });
    expect(await failureOf(sha)).toMatchObject(refusedAs('REPOSITORY_FILE_BROKE_PARSER'));
    await installation.server().kill();
    await installation.start();
    const { problems } = await installation.api().plan({ repository: APP, ref: 'refs/heads/main' });
    expect(problems.map(({ code }) => code)).toContain('REPOSITORY_FILE_BROKE_PARSER');
    expect(await failureOf(sha)).toMatchObject(refusedAs('REPOSITORY_FILE_BROKE_PARSER'));
  });

  it('has no commit planned that is not of the ref', { timeout: TEST_TIMEOUT_MS }, async () => {
    const { git } = installation.developer;
    const ofMain = await git('rev-parse', 'HEAD~1');
    const proposed = await git('commit-tree', '-p', 'HEAD', '-m', 'proposed', 'HEAD^{tree}');
    await git('push', '--quiet', 'origin', `${proposed}:refs/pull/1/head`);
    const plan = (commit: string) => installation.api().plan({ repository: APP, ref: 'refs/heads/main', commit });
    await expect(plan(proposed)).rejects.toMatchObject({ code: 'COMMIT_NOT_OF_REF' });
    await expect(plan('1'.repeat(40))).rejects.toMatchObject({ code: 'COMMIT_NOT_OF_REF' });
    expect(await plan(ofMain)).toMatchObject({ commit: ofMain });
    await waitUntil('the server answers', async () => (await fetch(`${installation.url}/healthz`)).ok);
  });
});
