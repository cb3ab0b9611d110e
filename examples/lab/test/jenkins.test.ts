import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Jenkins, startJenkins } from '../src/index.js';

const EMPTY_JOB = `<project><scm class="hudson.scm.NullSCM"/><builders/></project>`;

const get = async (jenkins: Jenkins, path: string, user = jenkins.user) => {
  const authorization = `Basic ${Buffer.from(`${user}:${jenkins.tokens.get(user) ?? ''}`).toString('base64')}`;
  return fetch(new URL(path, jenkins.url), { headers: { authorization }, redirect: 'manual' });
};

describe('the real Jenkins of the lab', () => {
  let folder: string;
  let jenkins: Jenkins;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pipit-jenkins-'));
    jenkins = await startJenkins({
      folder,
      executors: 3,
      jobs: { shop: EMPTY_JOB },
      accounts: [
        { user: 'pipit', rights: 'admin' },
        { user: "o'reader", rights: ['hudson.model.Hudson.Read'] },
      ],
    });
  }, 300_000);

  afterAll(async () => {
    await jenkins?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('has the accounts, the jobs and the executors that were asked for', async () => {
    const shown: unknown = await (await get(jenkins, 'api/json?tree=numExecutors,jobs[name]')).json();
    expect(shown).toMatchObject({ numExecutors: 3, jobs: [{ name: 'shop' }] });
    expect(await (await get(jenkins, 'api/json?tree=jobs[name]', "o'reader")).json()).toMatchObject({ jobs: [] });
    expect((await fetch(`${jenkins.url}api/json`)).status).toBe(403);
  });

  it('answers at the same address and with the same token after a restart, another process', async () => {
    const before = jenkins.pid();
    await jenkins.restart({ kill: true });
    expect(jenkins.pid()).not.toBe(before);
    expect((await get(jenkins, 'job/shop/api/json')).status).toBe(200);
  }, 300_000);

  it('is gone after it was stopped, and stopping again is harmless', async () => {
    await jenkins.stop();
    await jenkins.stop();
    await expect(fetch(`${jenkins.url}api/json`)).rejects.toThrow();
    expect(() => process.kill(jenkins.pid(), 0)).toThrow();
  });
});
