import { readFileSync } from 'node:fs';
import { createSecret } from '@pipit/core';
import {
  createMemoryFileStore,
  createTemporaryFolder,
  createTestOp,
  createTestShell,
  createTestSource,
  type TemporaryFolder,
  type TestSource,
} from '@pipit/plugin-testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createJenkinsCi } from '../src/jenkins-ci.js';
import { createJenkinsClient } from '../src/jenkins-client.js';
import { type Mood, startNewerJenkins } from './support/newer-jenkins.js';
import { NAMES, requestFor } from './support/sample-jenkins.js';

let source: TestSource;
let folder: TemporaryFolder;
let server: Awaited<ReturnType<typeof startNewerJenkins>>;
let mood: Mood;

beforeAll(async () => {
  source = await createTestSource({ files: { a: 'a' }, commit: { repository: { url: 'https://example.org/acme/web' } } });
  folder = await createTemporaryFolder();
});
afterAll(async () => {
  await Promise.all([source.remove(), folder.remove()]);
});
beforeEach(async () => {
  mood = {};
  const text = readFileSync(new URL('../src/__fixtures__/written-after-jenkins-2.440-build-of-a-pipeline.json', import.meta.url), 'utf8');
  const build: unknown = JSON.parse(text.replaceAll('"COMMIT"', `"${source.commit.sha}"`).replace('"KEY"', '"run:build:1"'));
  server = await startNewerJenkins({ build, mood });
});
afterEach(() => server.close());

const open = () => {
  const ci = createJenkinsCi({
    client: createJenkinsClient({ url: server.url, user: 'pipit', secret: createSecret('password') }),
    names: NAMES,
    url: server.url,
  });
  const files = createMemoryFileStore();
  const op = { ...createTestOp({ key: server.key, shell: createTestShell(folder.path), source, callbackUrl: '' }), files };
  return { ci, op, request: requestFor(source, { job: 'a/job/web' }) };
};

describe('a newer Jenkins', () => {
  it('starts by 201 and Location, with a crumb and its session, and only with parameters that the job has', async () => {
    const { ci, op, request } = open();
    const handle = await ci.start(request, op);
    expect(JSON.parse(handle)).toEqual({ job: ['a', 'web'], key: 'run:build:1', queue: 42 });
    expect(server.posts).toHaveLength(1);
    expect(Object.fromEntries(new URLSearchParams(server.posts[0]?.body))).toEqual({
      PIPIT_KEY: 'run:build:1',
      PIPIT_COMMIT: source.commit.sha,
    });
  });

  it('follows the queue item to its build, at the address of the config, and takes its artifacts', async () => {
    const { ci, op, request } = open();
    const started = { request, handle: await ci.start(request, op) };
    expect(await ci.inspect(started, op)).toEqual({ state: 'running', url: `${server.url}job/a/job/web/` });
    mood.item = 'left';
    expect(await ci.inspect(started, op)).toEqual({
      state: 'ended',
      url: `${server.url}job/a/job/web/7/`,
      result: { outcome: 'passed', raw: 'SUCCESS', commit: source.commit.sha },
    });
    expect((await ci.collect(started, op)).map(({ path }) => path)).toEqual(['opt/app']);
    mood.artifact = 'y\n';
    await expect(ci.collect(started, op)).rejects.toMatchObject({ code: 'JENKINS_OUTPUT_CHANGED', recovery: 'stop' });
  });

  it('tells of what a person cancelled in the queue', async () => {
    const { ci, op, request } = open();
    const started = { request, handle: await ci.start(request, op) };
    mood.item = 'cancelled';
    expect(await ci.inspect(started, op)).toMatchObject({ state: 'ended', result: { outcome: 'cancelled' } });
  });

  it.each([
    [409, 'JENKINS_JOB_DISABLED', 'stop'],
    [400, 'JENKINS_PARAMETERS_MISSING', 'stop'],
    [302, 'JENKINS_START_UNCONFIRMED', 'reconcile'],
    [500, 'HTTP_SERVER_FAILED', 'reconcile'],
  ])('that answers %i to a start gets %s (%s)', async (status, code, recovery) => {
    const { ci, op, request } = open();
    mood.startStatus = status;
    await expect(ci.start(request, op)).rejects.toMatchObject({ code, recovery });
  });

  it.each([
    [503, 'HTTP_SERVER_BUSY', 'retry'],
    [500, 'HTTP_SERVER_FAILED', 'retry'],
    [401, 'HTTP_ACCESS_REFUSED', 'stop'],
    [403, 'HTTP_ACCESS_REFUSED', 'stop'],
  ])('that answers %i to all gets %s (%s), and nothing is started', async (status, code, recovery) => {
    const { ci, op, request } = open();
    mood.outage = status;
    await expect(ci.start(request, op)).rejects.toMatchObject({ code, recovery });
    expect(server.posts).toEqual([]);
  });
});
