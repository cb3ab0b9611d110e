import { createReadStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Connection, type Discovery, type Host, parseHostAddress, type Services, type Transport } from '@pipit/core';
import { createMemoryRecords, type EffectRequest, type OperationId, type WorkPlace } from '@pipit/pipeline';
import { createRedactor, minimalEnvironment, runCommand } from '@pipit/plugin-kit';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createEffects } from '../src/effects.js';
import type { Instances } from '../src/plugins/instances.js';

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Hosts that are this machine; one that is down refuses to connect. */
class Fleet {
  readonly down = new Set<string>();
  readonly connected: string[] = [];
  hosts: readonly Host[] = [];

  readonly transport: Transport = {
    connect: async (host) => {
      if (this.down.has(host.id)) throw new Error(`${host.id} does not answer`);
      this.connected.push(host.id);
      const connection: Connection = {
        run: (argv, { cwd = '/', env = {} } = {}) => runCommand(argv, { cwd, env: { ...minimalEnvironment('/'), ...env } }),
        write: async (path, content) => {
          await mkdir(dirname(path), { recursive: true });
          await writeFile(path, content as string); // the tests write texts
        },
        read: (path) => createReadStream(path),
        close: async () => undefined,
      };
      return connection;
    },
  };

  readonly discovery: Discovery<unknown> = { findHosts: async () => ({ hosts: this.hosts }) };
}

const host = (id: string, available = true): Host => ({
  id,
  address: parseHostAddress(id),
  available,
  attributes: {},
  ...(available ? {} : { reason: 'its check is critical' }),
});

const SECRET = 'hunter2-of-production';
const redactor = createRedactor();
redactor.register(SECRET);

let folder: string;
let fleet: Fleet;
let records: ReturnType<typeof createMemoryRecords>;
let effects: ReturnType<typeof createEffects>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pipit-places-'));
  fleet = new Fleet();
  records = createMemoryRecords();
  const instances: Instances = {
    names: ['reach'],
    get: () => ({ transport: fleet.transport }),
    kindOf: (() => fleet.transport) as Instances['kindOf'], // the only kind that is asked for
    dispose: async () => undefined,
  };
  const unused = {} as never; // neither sources nor files nor the sandbox are touched on other hosts
  effects = createEffects({
    records,
    instances,
    sources: unused,
    files: { tentative: () => ({ files: unused, takeBack: async () => undefined }) },
    sandbox: unused,
    redactor,
    logger: silent,
    folder,
    maxFileBytes: 1024,
    hookUrlOf: () => 'http://127.0.0.1/hooks/x',
    stopping: new AbortController().signal,
  });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const service = (): WorkPlace => ({
  service: 'build',
  discovery: { instance: 'inventory', subject: fleet.discovery, options: {} },
});

const request = (on: WorkPlace | undefined, changes: Partial<EffectRequest> = {}): EffectRequest => ({
  part: { instance: 'fpm', transport: 'reach', ...(on === undefined ? {} : { on }) },
  operationId: 'web-1:package' as OperationId, // any will do: no row of an operation is read
  step: 'package',
  key: 'web-1:package:1',
  attempt: 1,
  commit: undefined,
  folder: 'attempt',
  deadlineMs: 20_000,
  signal: new AbortController().signal,
  onReport: () => undefined,
  onOutput: () => undefined,
  ...changes,
});

const write = async ({ shell }: Pick<Services, 'shell'>): Promise<string> => {
  await shell.write('made', 'here');
  const { stdout } = await shell.run(['sh', '-c', 'cat made; pwd; echo "$HOME"']);
  expect(stdout).toBe(`here${shell.folder}\n${shell.folder}\n`);
  return shell.folder;
};

it('works in a folder of its own on the host that is named, and leaves nothing there', async () => {
  const path = await effects.run(request({ host: parseHostAddress('repo1') }), write);
  expect(path).toMatch(/^\/var\/tmp\/pipit-/);
  expect(existsSync(path)).toBe(false);
  expect(await records.list('cleanups')).toEqual([]);
  expect(fleet.connected).toEqual(['repo1']);
});

it('leaves nothing after a failure either', async () => {
  let path = '';
  const failed = effects.run(request({ host: parseHostAddress('repo1') }), async (op) => {
    path = await write(op);
    throw new Error('the tool failed');
  });
  await expect(failed).rejects.toThrow('the tool failed');
  expect(existsSync(path)).toBe(false);
  expect(await records.list('cleanups')).toEqual([]);
});

it('takes only available hosts of a service, and says why when there are none', async () => {
  fleet.hosts = [host('build1', false), host('build2')];
  await effects.run(request(service()), write);
  expect(fleet.connected).toEqual(['build2']);
  fleet.hosts = [host('build1', false)];
  await expect(effects.run(request(service()), write)).rejects.toMatchObject({
    code: 'WORK_HOST_NOT_AVAILABLE',
    recovery: 'retry',
    message: expect.stringContaining('build1 (its check is critical)'),
  });
});

it('spreads work that is under way over the hosts', async () => {
  fleet.hosts = [host('build1'), host('build2'), host('build3')];
  const begin = (depth: number): Promise<unknown> =>
    effects.run(request(service(), { key: `web-${depth}:package:1` }), () => (depth === 1 ? Promise.resolve() : begin(depth - 1)));
  await begin(6);
  expect([...fleet.connected].sort()).toEqual(['build1', 'build1', 'build2', 'build2', 'build3', 'build3']);
});

it('keeps the host and the folder of a task from call to call, until they are cleaned up', async () => {
  fleet.hosts = [host('build1'), host('build2')];
  const task = request(service(), { folder: 'task' });
  const first = await effects.run(task, write);
  fleet.hosts = [...fleet.hosts].reverse();
  const second = await effects.run(task, async ({ shell }) => {
    expect((await shell.run(['cat', 'made'])).stdout).toBe('here');
    return shell.folder;
  });
  expect(second).toBe(first);
  expect(new Set(fleet.connected).size).toBe(1);
  const [row] = await records.list('cleanups');
  if (row === undefined) throw new Error('no row');
  await effects.removeFolder(row);
  expect(existsSync(first)).toBe(false);
  await effects.removeFolder(row);
});

it('cleans up later what is on a host that does not answer', async () => {
  const left = await effects.run(request({ host: parseHostAddress('repo1') }, { folder: 'task' }), write);
  const [row] = await records.list('cleanups');
  if (row === undefined) throw new Error('no row');
  fleet.down.add('repo1');
  await expect(effects.removeFolder(row)).rejects.toThrow('does not answer');
  expect(existsSync(left)).toBe(true);
  fleet.down.clear();
  await effects.removeFolder(row);
  expect(existsSync(left)).toBe(false);
});

it('gives a deployer a folder on each host that it connects to, and removes them', async () => {
  const paths = await effects.run(request(undefined, { folder: 'none' }), async (op) =>
    Promise.all(['web1', 'web2'].map(async (id) => write({ shell: await op.connect(host(id)) }))),
  );
  expect(new Set(paths).size).toBe(2);
  expect(paths.filter((path) => existsSync(path))).toEqual([]);
  expect(await records.list('cleanups')).toEqual([]);
});

it('gives a context that may be spread, and says what the kind does not get when it is asked for', async () => {
  await effects.run(request(undefined, { folder: 'none' }), async (op) => {
    const copy = { ...op, attempt: 2 };
    expect(copy.key).toBe(op.key);
    expect(() => op.source).toThrow('gets no source');
    expect(() => op.shell).toThrow('gets no shell');
  });
});

it('says so when no transport is configured', async () => {
  const alone = { ...request(undefined, { folder: 'none' }), part: { instance: 'deployer' } };
  await expect(effects.run(alone, (op) => op.connect(host('web1')))).rejects.toMatchObject({ code: 'TRANSPORT_NOT_CONFIGURED' });
});

it('removes nothing on a host but its own folders, whatever a row says', async () => {
  const target = JSON.stringify({ transport: 'reach', hostId: 'a', address: 'a', path: '/var/tmp/pipit-1/../../lib' });
  await expect(effects.removeFolder({ kind: 'remote-folder', target })).rejects.toThrow("is not one of pipit's work folders");
  expect(fleet.connected).toEqual([]);
});

it('refuses what a plugin returns when a secret of the config stands in it', async () => {
  const returned = effects.run(request(undefined, { folder: 'none', step: 'start' }), async () => `build-${SECRET}`);
  await expect(returned).rejects.toMatchObject({ code: 'PLUGIN_RETURNED_SECRET', recovery: 'stop' });
  await expect(returned).rejects.not.toThrow(SECRET);
});

it('shows no half of a secret that a host prints in two pieces', async () => {
  const shown: string[] = [];
  const print = `printf 'a hunter2-of'; echo warning >&2; sleep 0.2; echo '-production b'`;
  const prints = new Fleet();
  fleet.transport.connect = async (to, call) => {
    const connection = await prints.transport.connect(to, call);
    const run: Connection['run'] = (argv, { cwd = '/', onOutput } = {}) =>
      runCommand(argv, { cwd, env: minimalEnvironment('/'), ...(onOutput === undefined ? {} : { onOutput }) });
    return { ...connection, run };
  };
  await effects.run(request({ host: parseHostAddress('repo1') }, { onOutput: (text) => shown.push(text) }), (op) =>
    op.shell.run(['sh', '-c', print]),
  );
  expect(shown.join('')).toContain('[secret] b');
  expect(shown.join('')).not.toContain('hunter2');
});
