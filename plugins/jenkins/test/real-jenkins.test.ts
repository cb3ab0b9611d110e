import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { createSecret } from '@pipit/core';
import { createTestCall, createTestOp, createTestSetup, createTestShell, createTestSource, type TestSource } from '@pipit/plugin-testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { receiveCallback } from '../src/callback.js';
import { config } from '../src/config.js';
import { plugin } from '../src/index.js';
import { createJenkinsCi } from '../src/jenkins-ci.js';
import { createJenkinsClient } from '../src/jenkins-client.js';
import {
  ciOf,
  JENKINS_START_MS,
  NAMES,
  openSampleJenkins,
  readSampleJob,
  requestFor,
  type SampleJenkins,
  script,
  until,
} from './support/sample-jenkins.js';

const SECRET = 'callback-secret-of-the-test';
const TEST_MS = 180_000;

let server: SampleJenkins;
let source: TestSource;
let job: string;

/** `slow` builds wait for this file to go away. */
const FILES = {
  'script/cisetup': script('true'),
  'script/cibuild': script('echo begun; n=0; while [ -e hold ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n+1)); done'),
};

let keys = 0;
const opFor = (key: string, callbackUrl = '') =>
  createTestOp({ key, shell: createTestShell(server.folder), source, callbackUrl, timeoutMs: TEST_MS });
const nextKey = (): string => {
  keys += 1;
  return `operation-${keys}:build:1`;
};

beforeAll(async () => {
  // One executor, and crumbs asked of everybody.
  server = await openSampleJenkins(
    {
      executors: 1,
      crumbs: true,
      accounts: [
        { user: 'pipit', rights: 'admin' },
        { user: 'reader', rights: ['hudson.model.Hudson.Read', 'hudson.model.Item.Read'] },
        { user: 'stranger', rights: ['hudson.model.Hudson.Read'] },
      ],
    },
    SECRET,
  );
  source = await createTestSource({ files: { ...FILES, hold: '' } });
  job = await readSampleJob(server.headerFile);
}, JENKINS_START_MS);

afterAll(async () => {
  await server?.close();
  await source?.remove();
});

describe('on a real Jenkins', { timeout: TEST_MS }, () => {
  it('says why a build waits while the only executor is busy, cancels it in the queue, and stops the one that runs', async () => {
    const ci = ciOf(server.jenkins);
    const request = requestFor(source, { job: await server.createJob(job) });
    const first = opFor(nextKey());
    const running = { request, handle: await ci.start(request, first) };
    const better = await until('the first build runs', async () => {
      const state = await ci.inspect(running, first);
      return state.state === 'running' && (state.handle ?? running.handle).includes('"build"') ? state : undefined;
    });
    expect(better).toMatchObject({ url: expect.stringMatching(/\/job\/web-\d+\/1\/$/) });

    const second = opFor(nextKey());
    const waiting = { request, handle: await ci.start(request, second) };
    expect(await ci.inspect(waiting, second)).toMatchObject({ state: 'running' });
    await until('Jenkins names the reason', async () => {
      await ci.inspect(waiting, second);
      return second.progress.some(({ message }) => /queue: Waiting for next available executor/.test(message)) || undefined;
    });
    expect(await ci.readLog(waiting, undefined, second)).toEqual({ text: '', cursor: '0' });
    await ci.cancel(waiting, second);
    expect(await ci.inspect(waiting, second)).toMatchObject({ state: 'ended', result: { outcome: 'cancelled' } });

    await ci.cancel(running, first);
    const ended = await until('the first build ends', async () => {
      const state = await ci.inspect(running, first);
      return state.state === 'ended' ? state : undefined;
    });
    expect(ended.result).toMatchObject({ outcome: 'cancelled', raw: expect.stringMatching(/^(?:ABORTED|FAILURE)$/) });
  });

  it('waits while Jenkins is away, then says that the build it was killed in is lost, and starts anew with the next try', async () => {
    const ci = ciOf(server.jenkins);
    const request = requestFor(source, { job: await server.createJob(job) });
    const op = opFor('restarted:build:1');
    let started = { request, handle: await ci.start(request, op) };
    await until('the build runs', async () => {
      const state = await ci.inspect(started, op);
      if (state.state === 'running' && state.handle !== undefined) started = { request, handle: state.handle };
      return started.handle.includes('"build"') || undefined;
    });
    const restarted = server.jenkins.restart({ kill: true });
    await expect(until('it is away', async () => ci.inspect(started, op).then(() => undefined))).rejects.toMatchObject({
      recovery: 'retry',
    });
    await restarted;
    const state = await ci.inspect(started, op);
    expect(state).toMatchObject({ state: 'lost', reason: expect.stringContaining('Jenkins no longer has build 1') });
    expect(await ci.find(request, op)).toBeUndefined();
    const again = opFor('restarted:build:2');
    const anew = { request, handle: await ci.start(request, again) };
    await ci.cancel(anew, again);
  });

  it('refuses a disabled job and one without the parameters before it starts anything, and doctor prints the lines to paste', async () => {
    const ci = ciOf(server.jenkins);
    const disabled = await server.createJob(job.replace('<disabled>false', '<disabled>true'));
    const bare = await server.createJob('<project><scm class="hudson.scm.NullSCM"/></project>');
    const fine = await server.createJob(job);
    const start = (name: string) => ci.start(requestFor(source, { job: name }), opFor(nextKey()));
    await expect(start(disabled)).rejects.toMatchObject({ code: 'JENKINS_JOB_DISABLED', recovery: 'stop' });
    await expect(start('nowhere')).rejects.toMatchObject({ code: 'JENKINS_JOB_NOT_FOUND', recovery: 'stop' });
    await expect(start(bare)).rejects.toMatchObject({
      code: 'JENKINS_PARAMETERS_MISSING',
      recovery: 'stop',
      message: expect.stringContaining('PIPIT_KEY, PIPIT_COMMIT'),
      hint: expect.stringContaining("string(name: 'PIPIT_COMMIT', defaultValue: '')"),
    });
    for (const name of [disabled, bare]) {
      const shown: unknown = await (await server.call(`job/${name}/api/json?tree=nextBuildNumber,inQueue`)).json();
      expect(shown, 'nothing was started').toMatchObject({ nextBuildNumber: 1, inQueue: false });
    }
    const settings = config.parse({
      url: server.jenkins.url,
      user: 'pipit',
      token: server.jenkins.token,
      jobs: [disabled, bare, fine, 'nowhere'],
    });
    const instance = await plugin.setup(settings, createTestSetup({ folder: server.folder }));
    const findings = (await instance.checkHealth?.(createTestCall())) ?? [];
    expect(findings).toEqual([
      { name: 'Jenkins', ok: true, detail: expect.stringContaining('Jenkins 1.514') },
      { name: 'executors', ok: true, detail: expect.stringMatching(/^\d of 1 busy$/) },
      { name: 'callback', ok: true, detail: 'off: builds are polled only' },
      { name: `job ${disabled}`, ok: false, detail: expect.stringContaining('JENKINS_JOB_DISABLED'), hint: expect.any(String) },
      { name: `job ${bare}`, ok: false, detail: expect.any(String), hint: expect.stringContaining('<name>PIPIT_KEY</name>') },
      { name: `job ${fine}`, ok: true, detail: expect.any(String) },
      { name: 'job nowhere', ok: false, detail: expect.stringContaining('JENKINS_JOB_NOT_FOUND'), hint: expect.any(String) },
    ]);
  });

  it('tells a wrong token, a missing right and a hidden job apart from an outage', async () => {
    const request = requestFor(source, { job: await server.createJob(job) });
    const as = (user: string, token: string) => ciOf({ url: server.jenkins.url, user, token }).start(request, opFor(nextKey()));
    const tokenOf = (user: string): string => server.jenkins.tokens.get(user) ?? '';
    await expect(as('pipit', 'wrong')).rejects.toMatchObject({ code: 'HTTP_ACCESS_REFUSED', recovery: 'stop' });
    await expect(as('reader', tokenOf('reader'))).rejects.toMatchObject({ code: 'HTTP_ACCESS_REFUSED', recovery: 'stop' });
    await expect(as('stranger', tokenOf('stranger'))).rejects.toMatchObject({ code: 'JENKINS_JOB_NOT_FOUND', recovery: 'stop' });
  });

  it('adopts the build that something else began for the commit, by its parameter, and starts none', async () => {
    const quick = await createTestSource({ files: FILES });
    try {
      const name = await server.createJob(job);
      const ci = ciOf(server.jenkins);
      const request = requestFor(quick, { job: name, start: 'adopt' });
      const op = opFor(nextKey());
      expect(await ci.find(request, op)).toBeUndefined();
      const started = { request, handle: await ci.start(request, op) };
      expect(await ci.inspect(started, op)).toMatchObject({ state: 'running' });
      expect(op.progress.map(({ message }) => message)).toContain(`Waiting for a build of ${name} that names ${quick.commit.sha}`);
      const begin = (sha: string) =>
        server.call(`job/${name}/buildWithParameters?delay=0sec`, {
          method: 'POST',
          body: `PIPIT_COMMIT=${sha}&PIPIT_REPOSITORY=${encodeURIComponent(quick.folder)}`,
          type: 'application/x-www-form-urlencoded',
        });
      await begin('f'.repeat(40));
      await begin(quick.commit.sha);
      const ended = await until('the adopted build ends', async () => {
        const state = await ci.inspect(started, op);
        return state.state === 'ended' ? state : undefined;
      });
      expect(ended).toMatchObject({ url: expect.stringMatching(/\/2\/$/), result: { outcome: 'passed', commit: quick.commit.sha } });
    } finally {
      await quick.remove();
    }
  });

  it('gets through with a password and a crumb; the last curl of the sample job brings the key; without it polling suffices', async () => {
    const quick = await createTestSource({ files: FILES });
    const got: { readonly headers: IncomingMessage['headers']; readonly body: string }[] = [];
    const receiver = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on('end', () => {
        got.push({ headers: request.headers, body });
        response.end();
      });
    }).listen(0, '127.0.0.1');
    await once(receiver, 'listening');
    const address = receiver.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    try {
      const { url, user, password } = server.jenkins;
      const ci = createJenkinsCi({ client: createJenkinsClient({ url, user, secret: createSecret(password) }), names: NAMES, url });
      const request = requestFor(quick, { job: await server.createJob(job) });
      const run = async (key: string, callbackUrl: string) => {
        const op = opFor(key, callbackUrl);
        const started = { request, handle: await ci.start(request, op) };
        return until('the build ends', async () => {
          const state = await ci.inspect(started, op);
          return state.state === 'ended' ? state.result : undefined;
        });
      };
      const key = nextKey();
      expect(await run(key, `http://127.0.0.1:${port}/hooks/jenkins`)).toMatchObject({ outcome: 'passed' });
      expect(got).toHaveLength(1);
      const told = (secret: string) =>
        receiveCallback(
          {
            method: 'POST',
            query: {},
            headers: { 'content-type': got[0]?.headers['content-type'] ?? '', 'x-pipit-secret': String(got[0]?.headers['x-pipit-secret']) },
            body: Buffer.from(got[0]?.body ?? ''),
            remoteAddress: '127.0.0.1',
          },
          { secrets: [createSecret(secret)], names: NAMES },
        );
      expect(told(SECRET)).toEqual({ accepted: [{ type: 'build', key, commit: quick.commit.sha }] });
      expect(told('another-secret-of-the-test')).toMatchObject({ status: 401 });
      // Lost: nobody listens there. A build must not fail for it.
      receiver.close();
      receiver.closeAllConnections();
      expect(await run(nextKey(), '')).toMatchObject({ outcome: 'passed' });
    } finally {
      receiver.close();
      await quick.remove();
    }
  });
});
