import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PluginError, parseDigest, parsePackageVersion } from '@pipit/core';
import type { Api, AppView, HostView, PlanView } from '@pipit/runtime';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runCli } from '../src/run-cli.js';
import { createFakeApi, createRunPlayer } from './support/fake-api.js';
import { createFakeWorld } from './support/fake-world.js';
import { installingRun, NOW, rolledBackRun, succeededRun, VERSION, waitingRun } from './support/sample-run.js';

const noLog = async () => ({ operations: [] });
const call = async (line: string, serverApi?: Partial<Api>) => {
  const fake = createFakeWorld(serverApi === undefined ? {} : { serverApi: createFakeApi(serverApi) });
  const code = await runCli(line.split(' '), fake.world);
  return { code, out: fake.out(), err: fake.err() };
};

describe('a wrong call', () => {
  it.each([
    ['promot web', "Unknown command 'promot'", 'Did you mean promote?'],
    ['runs --jsn', "Unknown option '--jsn'", 'Did you mean --json?'],
    ['promote', "Missing required argument 'app'", 'pipit --help'],
    ['runs --state odd', 'odd', 'pipit --help'],
    ['runs --limit 0', '1 to 200', 'pipit --help'],
    ['reconcile', "Required option '--reason <text>' not specified", 'pipit --help'],
  ])('pipit %s exits with 2 and says what to do', async (line, fact, hint) => {
    const { code, out, err } = await call(line);
    expect(code).toBe(2);
    expect(err).toContain(fact);
    expect(err).toContain(hint);
    expect(err).toContain('[CLI_USAGE]');
    expect(out).toBe('');
  });

  it('is told as JSON with --json', async () => {
    const { code, err } = await call('promot --json');
    expect(code).toBe(2);
    expect(JSON.parse(err)).toEqual({ error: { code: 'CLI_USAGE', message: "Unknown command 'promot'", hint: 'Did you mean promote?' } });
  });
});

describe('help', () => {
  it.each(['--help', 'promote --help', 'run show --help', 'help promote'])('pipit %s goes to stdout and exits with 0', async (line) => {
    const { code, out, err } = await call(line);
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain('Examples:');
  });

  it('tells of the exit codes', async () => {
    expect((await call('--help')).out).toMatch(/Exit codes:\n {2}0 .*\n {2}1 /);
  });

  it('is shown for no command at all, with 2', async () => {
    const fake = createFakeWorld();
    expect(await runCli([], fake.world)).toBe(2);
    expect(fake.out()).toContain('Usage: pipit');
  });
});

describe('an error of what was asked', () => {
  const failing: Partial<Api> = {
    promote: async () => {
      throw new PluginError({ code: 'PROMOTION_OVERTAKEN', message: 'Ring canary runs 2, not 1', hint: 'Look again.', recovery: 'stop' });
    },
  };

  it('stands on stderr with its code and hint, and exits with 1', async () => {
    const { code, out, err } = await call('promote web --if-canary 1', failing);
    expect([code, out]).toEqual([1, '']);
    expect(err).toBe('error: Ring canary runs 2, not 1  [PROMOTION_OVERTAKEN]\n  hint: Look again.\n');
  });

  it('is one JSON object with --json', async () => {
    const { err } = await call('promote web --json', failing);
    expect(JSON.parse(err)).toEqual({ error: { code: 'PROMOTION_OVERTAKEN', message: 'Ring canary runs 2, not 1', hint: 'Look again.' } });
  });

  it('that nobody meant is called unexpected', async () => {
    const broken = { listRuns: async () => JSON.parse('{') };
    expect((await call('runs', broken)).err).toContain('[CLI_UNEXPECTED]');
  });
});

describe('where pipit is', () => {
  it('exits with 2 when there is no config to say where the data is', async () => {
    const fake = createFakeWorld({ environment: {} });
    expect(await runCli(['runs'], fake.world)).toBe(2);
    expect(fake.err()).toContain('CLI_CONFIG_NOT_FOUND');
    expect(fake.err()).toContain('pipit init');
  });

  it('does not make a database to show that there is nothing', async () => {
    const { code, err } = await call('runs');
    expect(code).toBe(1);
    expect(err).toContain('CLI_NO_DATA');
  });

  it('shows the token of --token before PIPIT_TOKEN', async () => {
    const seen: unknown[] = [];
    const backend = {
      openHttpApi: async (options: unknown) => {
        seen.push(options);
        return createFakeApi({ listApps: async () => [] });
      },
    };
    const environment = { PIPIT_SERVER: 'http://elsewhere', PIPIT_TOKEN: 'from-environment' };
    await runCli(['apps'], createFakeWorld({ environment, backend }).world);
    await runCli(['apps', '--token', 'given', '--server', 'http://there'], createFakeWorld({ environment, backend }).world);
    expect(seen).toEqual([
      { url: 'http://elsewhere', token: 'from-environment' },
      { url: 'http://there', token: 'given' },
    ]);
  });
});

const promoted = { runId: 'web-12', ring: 'production', version: VERSION } as Awaited<ReturnType<Api['promote']>>; // ids are plain texts in JSON

describe('promote', () => {
  it('asks for nothing but what was given, and returns at once', async () => {
    const asked: unknown[] = [];
    const api = {
      promote: async (command: unknown) => {
        asked.push(command);
        return promoted;
      },
    };
    const { code, out } = await call(`promote web --if-canary ${VERSION} --ring production`, api);
    expect([code, out]).toEqual([0, `Promoting production to ${VERSION}, run web-12\n`]);
    expect(asked).toEqual([{ app: 'web', ring: 'production', ifCanary: VERSION }]);
  });

  it.each([
    ['succeeded', [waitingRun, installingRun, succeededRun], 0],
    ['was rolled back', [rolledBackRun], 3],
  ] as const)('exits with --wait as a run that %s', async (_what, looks, expected) => {
    const { code } = await call('promote web --wait', { ...createRunPlayer(looks), readLog: noLog, promote: async () => promoted });
    expect(code).toBe(expected);
  });

  it('answers one JSON document with --wait --json', async () => {
    const { out } = await call('promote web --wait --json', { ...createRunPlayer([succeededRun]), promote: async () => promoted });
    expect(JSON.parse(out)).toMatchObject({ runId: 'web-12', run: { outcome: 'succeeded' } });
  });
});

describe('run show', () => {
  it('exits with 0 for a failed run that is only looked at, and shows the log of its failed step', async () => {
    const asked: unknown[] = [];
    const { code, out } = await call('run show web-12', {
      showRun: async () => rolledBackRun,
      readLog: async (query) => {
        asked.push(query);
        return {
          operations: [
            { operationId: 'o', stage: 's', truncated: false, pieces: [{ sequence: 1, at: '', step: 'verify', text: 'HTTP 500\n' }] },
          ],
        };
      },
    });
    expect(code).toBe(0);
    expect(out).toContain('Log of rollout:canary verify:\n  HTTP 500\n');
    expect(asked).toHaveLength(1);
  });

  it.each([
    [waitingRun, 4],
    [rolledBackRun, 3],
    [succeededRun, 0],
  ])('exits as the run ended with --wait (%#)', async (detail, expected) => {
    const { code } = await call('run show web-12 --wait', { showRun: async () => detail, readLog: noLog });
    expect(code).toBe(expected);
  });

  it('gives one JSON document a look with --watch --json', async () => {
    const { code, out } = await call('run show web-12 --watch --json', createRunPlayer([installingRun, installingRun, waitingRun]));
    expect(code).toBe(4);
    const looks = out.trim().split('\n');
    expect(JSON.parse(looks.at(-1) ?? '')).toMatchObject({ run: { waitingFor: 'promotion' } });
  });

  it('exits with 130 when it is interrupted, and kills only at the second signal', async () => {
    const fake = createFakeWorld({
      serverApi: createFakeApi({
        showRun: async () => {
          setImmediate(() => fake.signal('SIGINT'));
          return installingRun;
        },
      }),
    });
    expect(await runCli(['run', 'show', 'web-12', '--watch'], fake.world)).toBe(130);
    expect([fake.exits, fake.err()]).toEqual([[], '']);
  });
});

describe('logs -f', () => {
  it('prints each piece once, under the heading of its step, and exits as the run ended', async () => {
    const pieces = [
      { sequence: 1, at: '', step: 'build', text: 'one\ntw' },
      { sequence: 2, at: '', step: 'build', text: 'o\n' },
      { sequence: 1, at: '', step: 'verify', text: 'no newline' },
    ];
    let looks = 0;
    const { code, out } = await call('logs -f web-12', {
      ...createRunPlayer([installingRun, installingRun, installingRun, waitingRun]),
      readLog: async () => {
        looks += 1;
        return { operations: [{ operationId: 'o', stage: 'build', truncated: false, pieces: pieces.slice(0, looks) }] };
      },
    });
    expect(code).toBe(4);
    expect(out).toBe('── build build\none\ntwo\n\n── build verify\nno newline\n');
  });
});

const host = (more: Partial<HostView>): HostView => ({
  ring: 'canary',
  hostId: 'web-1',
  address: '127.77.0.11',
  available: true,
  reason: null,
  attributes: {},
  advertised: { version: VERSION, sequence: 7 },
  report: null,
  converged: false,
  ...more,
});

describe('tables', () => {
  const golden = (name: string): string => `__golden__/${name}.txt`;

  it('hosts tell what they run, what they should, and why not', async () => {
    const hosts = [
      host({
        converged: true,
        report: {
          hostId: 'web-1',
          reachable: true,
          healthy: true,
          installed: {
            version: parsePackageVersion(VERSION),
            digest: parseDigest(`sha256:${'1a2b3c4d5e6f'.padEnd(64, '0')}`),
            sequence: 7,
          },
        },
      }),
      host({ hostId: 'web-2', ring: 'production', available: false, reason: 'new disk' }),
      host({
        hostId: 'web-3',
        ring: 'production',
        report: {
          hostId: 'web-3',
          reachable: true,
          healthy: false,
          raw: 'HTTP 500',
          installed: { version: parsePackageVersion('1.3.0'), sequence: 6 },
        },
      }),
    ];
    const { code, out } = await call('hosts web', { listHosts: async () => hosts });
    expect(code).toBe(0);
    await expect(out).toMatchFileSnapshot(golden('hosts'));
    expect(JSON.parse((await call('hosts web --json', { listHosts: async () => hosts })).out)).toEqual(hosts);
  });

  it('apps are a matrix of rings', async () => {
    const ring = {
      ring: 'canary',
      version: VERSION,
      commit: null,
      state: 'verified',
      sequence: 7,
      since: new Date(NOW.getTime() - 7_200_000).toISOString(),
      behindBy: 0,
    };
    const apps = [
      { app: 'web', role: 'app', rings: [ring, { ...ring, ring: 'production', version: '1.3.0', behindBy: 2 }], latestRun: waitingRun.run },
      { app: 'shop', role: 'api', rings: [{ ...ring, version: null, state: 'empty' }], latestRun: null },
    ] as unknown as readonly AppView[]; // the API's JSON
    await expect((await call('apps', { listApps: async () => apps })).out).toMatchFileSnapshot(golden('apps'));
  });

  it('runs tell why they wait or how they ended, and where the next page begins', async () => {
    const rows = [waitingRun.run, rolledBackRun.run, installingRun.run];
    const { out, err } = await call('runs --app web', { listRuns: async () => ({ rows, next: 'c' }) });
    await expect(out).toMatchFileSnapshot(golden('runs'));
    expect(err).toBe('More: pipit runs --before c\n');
    expect((await call('runs --quiet', { listRuns: async () => ({ rows, next: 'c' }) })).err).toBe('');
  });

  it('a plan shows stages, rings and problems, which exit with 1', async () => {
    const plan: PlanView = {
      app: 'web',
      pipeline: 'main',
      commit: '3f2a9c1'.padEnd(40, '0'),
      version: VERSION,
      published: false,
      stages: [{ name: 'build', what: 'local runs script/cibuild' }],
      rings: [
        {
          ring: 'canary',
          runs: null,
          hosts: [
            { id: 'web-1', available: true },
            { id: 'web-2', available: false },
          ],
        },
        { ring: 'production', runs: '1.3.0', hosts: [] },
      ],
      problems: [{ code: 'X_Y', message: 'script/cibuild is missing', hint: 'Write it.' }],
    };
    const asked: unknown[] = [];
    const api = {
      plan: async (query: unknown) => {
        asked.push(query);
        return plan;
      },
    };
    const { code, out } = await call('plan acme/web', api);
    expect(code).toBe(1);
    await expect(out).toMatchFileSnapshot(golden('plan'));
    expect(asked).toEqual([{ repository: 'acme/web', ref: 'refs/heads/main' }]);
  });
});

describe('doctor', () => {
  it('asks the server and exits with 1 when one check is not ok, saying what to do', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pipit-cli-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const api = createFakeApi({
      doctor: async () => [
        { instance: 'local', name: 'apt-ftparchive', ok: false, detail: 'not found', hint: 'apt-get install apt-utils' },
        { instance: 'pipit', name: 'git', ok: true, detail: '2.39' },
      ],
    });
    const fake = createFakeWorld({ environment: { PIPIT_SERVER: 'http://there' }, folder, serverApi: api });
    expect(await runCli(['doctor'], fake.world)).toBe(1);
    expect(fake.out()).toContain(
      '✗ FAIL  local: apt-ftparchive  not found\n          do: apt-get install apt-utils\n✓ ok    pipit: git  2.39\n',
    );
  });

  it('tells of a config that is missing instead of stopping there', async () => {
    const fake = createFakeWorld({ environment: {} });
    expect(await runCli(['doctor', '--json'], fake.world)).toBe(1);
    expect(JSON.parse(fake.out())).toMatchObject([{ name: 'config', ok: false, hint: expect.stringContaining('pipit init') }]);
  });
});
