import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Api, RunDetail } from '@pipit/runtime';
import { labUnavailable } from 'pipit-lab';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { prepareGround, type ShowcaseGround, type ShowcaseServer, startPipit } from '../src/showcase.js';
import { builtPlugins } from './support/built-plugins.js';
import { waitForRun } from './support/wait-for-run.js';

const UP_MS = 900_000;
const RUN_MS = 900_000;
const DEADLINE_MS = 120_000;

const unavailable = (await labUnavailable()) ?? builtPlugins();

const waitUntil = (holds: () => Promise<boolean>): Promise<boolean> => vi.waitUntil(holds, { timeout: DEADLINE_MS, interval: 50 });

describe('what goes wrong on the way of a run on real components', () => {
  let folder: string;
  let ground: ShowcaseGround;
  let server: ShowcaseServer;
  let api: Api;
  let pushes = 0;
  const log: string[] = [];

  beforeAll(async () => {
    if (unavailable !== undefined) return;
    folder = await mkdtemp('/var/tmp/pipit-faults-test-');
    ground = await prepareGround({ folder, canaries: 1, production: 1 });
    server = await startPipit(ground, { dataFolder: join(folder, 'data'), writeLog: (line) => log.push(line) });
    api = server.runtime.api({ name: 'test', origin: 'library' });
  }, UP_MS);

  afterAll(async () => {
    await server?.stop();
    await ground?.down();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }, 120_000);

  beforeEach((context) => {
    if (unavailable !== undefined) context.skip(unavailable);
  });

  const push = async (file = 'lib/tariff.pl', edit?: (text: string) => string): Promise<string> => {
    pushes += 1;
    return (await ground.developer.push(`Change ${pushes}`, file, edit ?? ((text) => `# ${pushes}\n${text}`))).sha;
  };

  const findRun = async (sha: string): Promise<RunDetail | undefined> => {
    const run = (await api.listRuns({ limit: 20 })).rows.find((each) => each.sha === sha);
    return run === undefined ? undefined : api.showRun(run.id);
  };

  const isOnCanary = async (sha: string): Promise<string> => {
    const { run } = await waitForRun(api, sha, log);
    expect(run, run.reason ?? '').toMatchObject({ state: 'waiting', waitingFor: 'promotion' });
    const host = (await api.listHosts({ app: 'shop' })).find(({ ring }) => ring === 'canary');
    expect(host?.report).toMatchObject({ healthy: true, installed: { version: run.version } });
    return run.version ?? '';
  };

  const advertised = async (ring: string): Promise<string> => {
    const { consul } = ground.services;
    const answer = await consul.request('GET', `/v1/kv/pipit/shop/app/${ring}/version?raw`);
    return answer.status === 404 ? '' : answer.text();
  };

  const jenkins = () => {
    const found = ground.services.jenkins;
    if (found === undefined) throw new Error('The lab has no Jenkins');
    return found;
  };

  const jenkinsBuilds = async (sha: string): Promise<readonly (string | null)[]> => {
    const { url, user, token } = jenkins();
    const tree = 'builds[result,actions[parameters[name,value]]]';
    const answer = await fetch(`${url}/job/shop-build/api/json?tree=${encodeURIComponent(tree)}`, {
      headers: { authorization: `Basic ${Buffer.from(`${user}:${token}`).toString('base64')}` },
    });
    const { builds } = (await answer.json()) as { builds: { result: string | null; actions: object[] }[] };
    return builds.filter((build) => JSON.stringify(build.actions).includes(sha)).map(({ result }) => result);
  };

  const callBack = (secret: string, form: Readonly<Record<string, string>>): Promise<Response> =>
    fetch(`${server.url}/hooks/jenkins`, { method: 'POST', headers: { 'x-pipit-secret': secret }, body: new URLSearchParams(form) });

  /** From now on script/cibuild waits for this file: a build is under way for as long as the test wants. */
  const holdBuilds = (gate: string) => (text: string) => `${text}\nwhile [ ! -e ${gate} ]; do sleep 0.1; done\n`;

  it(
    'fails a run whose build died with Jenkins, says what to do, and delivers the next push',
    async () => {
      const first = await isOnCanary((await ground.developer.pushFirst()).sha);
      // Jenkins' own callback came through.
      expect((await api.listEvents({ limit: 50 })).rows.map(({ instance }) => instance)).toContain('jenkins');
      const gate = join(folder, 'gate-1');
      const sha = await push('script/cibuild', holdBuilds(gate));
      await waitUntil(async () => (await jenkinsBuilds(sha)).length === 1);
      await waitUntil(async () =>
        ((await findRun(sha))?.operations ?? []).some(({ steps }) =>
          steps.some(({ name, state }) => name === 'await' && state === 'running'),
        ),
      );
      await jenkins().restart({ kill: true });
      await writeFile(gate, '');
      const { run, operations } = await waitForRun(api, sha, log);
      expect(run).toMatchObject({ state: 'ended', outcome: 'failed', reason: expect.stringMatching(/^jenkins lost what it was doing/) });
      expect(operations.map(({ error }) => error)).toContainEqual(
        expect.objectContaining({ code: 'TASK_LOST', hint: expect.stringMatching(/^Push again/) }),
      );
      expect(await advertised('canary')).toBe(first);
      await isOnCanary(await push());
    },
    RUN_MS,
  );

  it(
    'takes a callback for a hint: lost, forged, early or doubled, only what Jenkins itself says counts',
    async () => {
      const headerFile = join(folder, 'callback-header');
      const header = await readFile(headerFile, 'utf8');
      const secret = ground.environment.SHOWCASE_CALLBACK_SECRET ?? '';
      // What the job sends is refused from now on: its callbacks are lost.
      await writeFile(headerFile, 'x-pipit-secret: not the secret\n');
      const gate = join(folder, 'gate-2');
      const sha = await push('script/cibuild', (text) => holdBuilds(gate)(text.replace(/while .*\n/, '')));
      await waitUntil(async () => (await jenkinsBuilds(sha)).length === 1);
      try {
        const forged = await callBack('not the secret', { commit: sha });
        expect([forged.status, ((await forged.json()) as { error?: { code?: string } }).error?.code]).toEqual([
          401,
          'JENKINS_CALLBACK_SECRET_WRONG',
        ]);
        const early = await Promise.all([callBack(secret, { commit: sha }), callBack(secret, { commit: sha })]);
        expect(early.map(({ status }) => status)).toEqual([202, 202]);
        const ids = (await Promise.all(early.map(async (answer) => ((await answer.json()) as { eventIds: string[] }).eventIds))).flat();
        expect(ids.length).toBeGreaterThan(0);
        const handled = async () =>
          (await api.listEvents({ limit: 50 })).rows.filter((event) => ids.includes(event.id) && event.state === 'handled').length;
        await waitUntil(async () => (await handled()) === new Set(ids).size);
        expect((await findRun(sha))?.run).toMatchObject({ state: 'active', stage: 'build' });
      } finally {
        await writeFile(gate, '');
      }
      await isOnCanary(sha);
      expect(await jenkinsBuilds(sha)).toEqual(['SUCCESS']);
      const before = (await api.listRuns({ limit: 50 })).rows.map(({ id, state }) => [id, state]);
      expect((await callBack(secret, { commit: sha })).status).toBe(202);
      expect((await api.listRuns({ limit: 50 })).rows.map(({ id, state }) => [id, state])).toEqual(before);
      await writeFile(headerFile, header);
    },
    RUN_MS,
  );

  it(
    'keeps a canary whose service makes its own Consul check critical as a target, which mends it',
    async () => {
      const canary = ground.lab.host('canary-1');
      expect((await canary.exec(['systemctl', 'stop', 'shop'])).exitCode).toBe(0);
      const status = async () => {
        const answer = await ground.services.consul.request('GET', '/v1/health/checks/shop');
        const checks = (await answer.json()) as { Node: string; Status: string }[];
        return checks.find(({ Node }) => Node === 'canary-1')?.Status;
      };
      await waitUntil(async () => (await status()) === 'critical');
      await isOnCanary(await push());
      await waitUntil(async () => (await status()) === 'passing');
    },
    RUN_MS,
  );

  it(
    'goes on when Consul is killed in a rollout and comes back, and advertises once',
    async () => {
      const { consul } = ground.services;
      const sha = await push();
      await waitUntil(async () =>
        ((await findRun(sha))?.stages ?? []).some(({ name, state }) => name === 'publish' && state !== 'pending'),
      );
      await consul.kill();
      await waitUntil(async () =>
        ((await findRun(sha))?.operations ?? []).some(({ steps }) => steps.some(({ name, attempt }) => name !== 'await' && attempt > 1)),
      );
      await consul.start();
      await consul.waitForLeader();
      const version = await isOnCanary(sha);
      expect(await advertised('canary')).toBe(version);
    },
    RUN_MS,
  );

  it(
    "advertises again, in order, when Consul's data were lost",
    async () => {
      const { consul } = ground.services;
      expect((await consul.request('DELETE', '/v1/kv/pipit?recurse')).ok).toBe(true);
      expect(await advertised('canary')).toBe('');
      const version = await isOnCanary(await push());
      expect(await advertised('canary')).toBe(version);
      const { runId } = await api.promote({ app: 'shop', ifCanary: version, reason: 'the canary is well' });
      const { run } = await waitForRun(api, runId, log, ({ state }) => state === 'ended');
      expect(run.outcome, run.reason ?? '').toBe('succeeded');
      expect(await advertised('production')).toBe(version);
    },
    RUN_MS,
  );
});
