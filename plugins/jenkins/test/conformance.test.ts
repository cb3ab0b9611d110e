import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createTemporaryFolder, createTestOp, createTestShell, createTestSource, testCi, testPlugin } from '@pipit/plugin-testing';
import { afterAll, beforeAll } from 'vitest';
import { formatHandle } from '../src/build-handle.js';
import type { JenkinsOptions } from '../src/config.js';
import { plugin } from '../src/index.js';
import {
  ciOf,
  JENKINS_START_MS,
  openSampleJenkins,
  readSampleJob,
  requestFor,
  type SampleJenkins,
  script,
} from './support/sample-jenkins.js';

const account = { url: 'https://ci.example.org', user: 'pipit' };

testPlugin('plugin-jenkins', {
  plugin,
  goodConfig: { ...account, token: 't0ken', callbackSecret: '0123456789abcdef', jobs: ['a/job/b'] },
  badConfigs: {
    'neither token nor password': account,
    'token and password': { ...account, token: 't0ken', password: 'passw0rd' },
    'another protocol': { ...account, url: 'ftp://ci.example.org', token: 't0ken' },
    'a short callback secret': { ...account, token: 't0ken', callbackSecret: 'short' },
    'a job that cannot be': { ...account, token: 't0ken', jobs: ['a//b'] },
    'an unknown field': { ...account, token: 't0ken', tokne: 'x' },
  },
  secrets: ['t0ken', '0123456789abcdef'],
});

/** One real Jenkins for all worlds, each with a job of its own. */
let server: SampleJenkins;
let job: string;

beforeAll(async () => {
  server = await openSampleJenkins({ executors: 4 }, 'unused');
  job = await readSampleJob();
}, JENKINS_START_MS);
afterAll(() => server?.close());

const FILES = {
  'script/cisetup': script('echo setting up'),
  'script/cibuild': script('mkdir -p "$PIPIT_OUTPUT/opt/web"\necho app > "$PIPIT_OUTPUT/opt/web/app"\n: > "$PIPIT_OUTPUT/empty file"'),
};

testCi<JenkinsOptions>('plugin-jenkins on a real Jenkins', {
  open: async () => {
    const folder = await createTemporaryFolder();
    const good = await createTestSource({ files: FILES });
    const bad = await createTestSource({ files: { ...FILES, 'script/cibuild': script('exit 3') } });
    const name = await server.createJob(job);
    return {
      reopen: async () => ciOf(server.jenkins),
      good: requestFor(good, { job: name }),
      bad: requestFor(bad, { job: name }),
      createOp: async ({ key, request, ...options }) => {
        const shellFolder = join(folder.path, Buffer.from(key).toString('hex'));
        await mkdir(shellFolder, { recursive: true });
        return createTestOp({
          key,
          ...options,
          shell: createTestShell(shellFolder),
          source: request.commit.sha === bad.commit.sha ? bad : good,
          callbackUrl: '',
        });
      },
      countEffects: async () => {
        const shown: unknown = await (await server.call(`job/${name}/api/json?tree=nextBuildNumber,inQueue`)).json();
        if (typeof shown !== 'object' || shown === null || !('nextBuildNumber' in shown) || !('inQueue' in shown))
          throw new Error('no count');
        return Number(shown.nextBuildNumber) - 1 + (shown.inQueue === true ? 1 : 0);
      },
      outputPaths: ['opt/web/app', 'empty file'],
      forgottenHandle: formatHandle({ job: [name], key: 'gone', build: 999 }),
      close: async () => {
        await Promise.all([folder.remove(), good.remove(), bad.remove()]);
      },
    };
  },
});
