import { mkdtemp, readlink, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PluginError } from '@pipit/core';
import type { Runtime } from '@pipit/runtime';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createNodeWorld } from '../src/node-world.js';
import { runCli } from '../src/run-cli.js';
import { createFakeWorld } from './support/fake-world.js';

/** A serve whose parts tell what happens to them. */
const prepare = async (
  options: { readonly firstToken?: string; readonly listenError?: Error; readonly isStuck?: boolean; readonly isStarting?: boolean } = {},
) => {
  const folder = await mkdtemp(join(tmpdir(), 'pipit-serve-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'pipit.config.yaml'), 'dataFolder: .\n');
  const happened: string[] = [];
  let unstick = (): void => undefined;
  let fail = (_error: PluginError): void => undefined;
  const runtime: Pick<Runtime, 'dataFolder' | 'failed' | 'firstToken' | 'tokenFile' | 'start' | 'stop'> & { readonly config: object } = {
    dataFolder: folder,
    firstToken: options.firstToken,
    tokenFile: join(folder, 'token'),
    config: { server: { host: '127.0.0.1', port: 0, metrics: { allow: [] }, public: [] } },
    failed: new Promise((resolve) => {
      fail = resolve;
    }),
    start: async () => {
      happened.push('start');
      if (options.isStarting) await new Promise(() => undefined);
    },
    stop: async () => {
      happened.push('stop');
      if (options.isStuck)
        await new Promise<void>((resolve) => {
          unstick = resolve;
        });
    },
  };
  const fake = createFakeWorld({
    folder,
    environment: {},
    backend: {
      openRuntime: async () => runtime as unknown as Runtime, // serve touches no other part of it
      openServer: async () => ({
        listen: async () => {
          if (options.listenError !== undefined) throw options.listenError;
          happened.push('listen');
          return { url: 'http://127.0.0.1:1' };
        },
        close: async () => void happened.push('close'),
      }),
    },
  });
  return { folder, happened, fake, unstick: () => unstick(), fail: (error: PluginError) => fail(error) };
};

const until = async (isTrue: () => boolean): Promise<void> => {
  const deadline = Date.now() + 10_000;
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error('It did not come true within 10 s');
    await new Promise((resolve) => setImmediate(resolve));
  }
};

describe('serve', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('listens, starts, and on %s closes the door before it stops; exits with 0', async (name) => {
    const { fake, happened } = await prepare();
    const serving = runCli(['serve'], fake.world);
    await until(() => fake.out().includes('http://127.0.0.1:1'));
    fake.signal(name);
    expect(await serving).toBe(0);
    expect(happened).toEqual(['listen', 'start', 'close', 'stop']);
    expect(fake.exits).toEqual([]);
  });

  it('lets nobody else write what it makes, and works in an empty folder', async () => {
    const { fake, folder, happened } = await prepare();
    const serving = runCli(['serve'], fake.world);
    await until(() => fake.out() !== '');
    fake.signal('SIGTERM');
    await serving;
    expect(happened).toContain('start');
    expect(fake.umasks).toEqual([0o022]);
    expect(fake.entered).toEqual([join(folder, 'run', 'empty')]);
  });

  it("makes its working folder an empty one that is really this process's, and refuses one that holds something", async () => {
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'pipit-empty-')));
    const before = process.cwd();
    onTestFinished(async () => {
      process.chdir(before);
      await rm(folder, { recursive: true, force: true });
    });
    const world = createNodeWorld();
    await world.enterEmptyFolder(join(folder, 'run', 'empty'));
    await world.enterEmptyFolder(join(folder, 'run', 'empty'));
    expect(await readlink('/proc/self/cwd')).toBe(join(folder, 'run', 'empty'));
    await expect(world.enterEmptyFolder(folder)).rejects.toMatchObject({ code: 'CLI_FOLDER_NOT_EMPTY' });
    // What is refused stays as it is.
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
  });

  it('ends at once on the second signal', async () => {
    const { fake, happened, unstick } = await prepare({ isStuck: true });
    const serving = runCli(['serve'], fake.world);
    await until(() => fake.out() !== '');
    fake.signal('SIGTERM');
    await until(() => happened.includes('stop'));
    expect(fake.exits).toEqual([]);
    fake.signal('SIGTERM');
    expect(fake.exits).toEqual([130]);
    unstick();
    await serving;
  });

  it.each([{ isStarting: false }, { isStarting: true }])('stops and exits with 5 when the database is given up: %j', async (options) => {
    const { fake, happened, fail } = await prepare(options);
    const serving = runCli(['serve'], fake.world);
    await until(() => happened.includes('start'));
    fail(new PluginError({ code: 'DATABASE_AWAY_TOO_LONG', message: 'It was away', recovery: 'stop' }));
    expect(await serving).toBe(5);
    expect(happened).toEqual(['listen', 'start', 'close', 'stop']);
    expect(fake.err()).toContain('DATABASE_AWAY_TOO_LONG');
  });

  it('stops on a signal while its start waits for the database', async () => {
    const { fake, happened } = await prepare({ isStarting: true });
    const serving = runCli(['serve'], fake.world);
    await until(() => happened.includes('start'));
    fake.signal('SIGTERM');
    expect(await serving).toBe(0);
    expect(happened).toEqual(['listen', 'start', 'close', 'stop']);
  });

  it('exits with 0 on a signal while it waits for the database before it listens', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pipit-serve-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, 'pipit.config.yaml'), 'dataFolder: .\n');
    let isWaiting = false;
    const fake = createFakeWorld({
      folder,
      environment: {},
      backend: {
        openRuntime: ({ signal, waitForDatabase }) =>
          new Promise((_, reject) => {
            isWaiting = waitForDatabase === true;
            signal?.addEventListener('abort', () => reject(signal.reason));
          }),
      },
    });
    const serving = runCli(['serve'], fake.world);
    await until(() => isWaiting);
    fake.signal('SIGTERM');
    expect(await serving).toBe(0);
  });

  it('shows the first token once, and not in the log', async () => {
    const { fake } = await prepare({ firstToken: 'pipit_secret' });
    const serving = runCli(['serve'], fake.world);
    await until(() => fake.out() !== '');
    fake.signal('SIGTERM');
    await serving;
    expect(fake.out().match(/pipit_secret/g)).toHaveLength(1);
    expect(fake.err()).not.toContain('pipit_secret');
  });

  it('begins nothing when the port is taken, and lets the data folder go', async () => {
    const listenError = new PluginError({ code: 'SERVER_PORT_TAKEN', message: 'Something else listens there', recovery: 'stop' });
    const { fake, happened } = await prepare({ listenError });
    expect(await runCli(['serve'], fake.world)).toBe(1);
    expect(happened).toEqual(['stop']);
    expect(fake.err()).toContain('SERVER_PORT_TAKEN');
  });
});
