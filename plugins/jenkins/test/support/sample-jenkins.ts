import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type BuildRequest, createSecret, parseAppName, parseRefName } from '@pipit/core';
import type { TestSource } from '@pipit/plugin-testing';
import { type Jenkins, type JenkinsOptions as LabOptions, startJenkins } from 'pipit-lab';
import { type JenkinsOptions, options as optionsSchema } from '../../src/config.js';
import { createJenkinsCi } from '../../src/jenkins-ci.js';
import { createJenkinsClient } from '../../src/jenkins-client.js';

/** A full run beside other work on two cores. */
export const JENKINS_START_MS = 300_000;

export const NAMES = {
  key: 'PIPIT_KEY',
  commit: 'PIPIT_COMMIT',
  branch: 'PIPIT_BRANCH',
  repository: 'PIPIT_REPOSITORY',
  callback: 'PIPIT_CALLBACK',
};

export const script = (text: string) => ({ text: `#!/bin/sh\nset -e\n${text}\n`, mode: 0o755 });

/** The job that this package ships, its callback's header in a file of the test. */
export const readSampleJob = async (headerFile = '/nonexistent'): Promise<string> => {
  const xml = await readFile(new URL('../../sample/config.xml', import.meta.url), 'utf8');
  return xml.replace('/etc/pipit/callback-header', headerFile);
};

export interface SampleJenkins {
  readonly jenkins: Jenkins;
  readonly folder: string;
  readonly headerFile: string;
  /** Makes a job and gives its name. */
  createJob(xml: string): Promise<string>;
  /** As an account that calls from outside; the token's, unless a password is given. */
  call(path: string, init?: { readonly method?: string; readonly body?: string; readonly type?: string }): Promise<Response>;
  close(): Promise<void>;
}

export const openSampleJenkins = async (settings: Omit<LabOptions, 'folder'>, secret: string): Promise<SampleJenkins> => {
  const folder = await mkdtemp(join(tmpdir(), 'pipit-jenkins-'));
  try {
    const headerFile = join(folder, 'callback-header');
    await writeFile(headerFile, `x-pipit-secret: ${secret}\n`);
    const jenkins = await startJenkins({ ...settings, folder: join(folder, 'home') });
    const call: SampleJenkins['call'] = async (path, { method = 'GET', body, type } = {}) => {
      const crumb: unknown = method === 'GET' ? undefined : await (await call('crumbIssuer/api/json')).json().catch(() => undefined);
      const headers: Record<string, string> = {
        authorization: `Basic ${Buffer.from(`${jenkins.user}:${jenkins.token}`).toString('base64')}`,
        ...(type === undefined ? {} : { 'content-type': type }),
        ...(typeof crumb === 'object' && crumb !== null && 'crumb' in crumb ? { '.crumb': String(crumb.crumb) } : {}),
      };
      return fetch(new URL(path, jenkins.url), { method, headers, redirect: 'manual', ...(body === undefined ? {} : { body }) });
    };
    let jobs = 0;
    return {
      jenkins,
      folder,
      headerFile,
      call,
      createJob: async (xml) => {
        jobs += 1;
        const name = `web-${jobs}`;
        const { status } = await call(`createItem?name=${name}`, { method: 'POST', body: xml, type: 'application/xml' });
        if (status !== 200) throw new Error(`createItem answered ${status}`);
        return name;
      },
      close: async () => {
        await jenkins.stop();
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (thrown) {
    await rm(folder, { recursive: true, force: true });
    throw thrown;
  }
};

export const ciOf = ({ url, user, token }: Pick<Jenkins, 'url' | 'user' | 'token'>) =>
  createJenkinsCi({ client: createJenkinsClient({ url, user, secret: createSecret(token) }), names: NAMES, url });

export const requestFor = (
  { commit }: Pick<TestSource, 'commit'>,
  options: { readonly job: string } & Partial<Record<keyof JenkinsOptions, unknown>>,
): BuildRequest<JenkinsOptions> => ({
  app: parseAppName('web'),
  ref: parseRefName('refs/heads/main'),
  commit,
  options: optionsSchema.parse(options),
});

/** Waits for a condition; fails with its name at the deadline. */
export const until = async <T>(what: string, look: () => Promise<T | undefined>, withinMs = 60_000): Promise<T> => {
  const deadline = performance.now() + withinMs;
  while (performance.now() < deadline) {
    const found = await look();
    if (found !== undefined) return found;
    await delay(50);
  }
  throw new Error(`Not within ${withinMs} ms: ${what}`);
};
