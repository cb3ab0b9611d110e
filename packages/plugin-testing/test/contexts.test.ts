import { access, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isPluginError, type Op } from '@pipit/core';
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from 'vitest';
import {
  createFakeClock,
  createMemoryFileStore,
  createTemporaryFolder,
  createTestCall,
  createTestLogger,
  createTestOp,
  createTestSetup,
  createTestShell,
  createTestSource,
  createTrustedSandbox,
  type TemporaryFolder,
} from '../src/index.js';

const readText = async (content: AsyncIterable<Uint8Array>): Promise<string> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await createTemporaryFolder();
});
afterEach(() => folder.remove());

describe('the fake clock', () => {
  it('stands still until it is advanced', async () => {
    const clock = createFakeClock('2026-02-03T04:05:06.000Z');
    expect(clock.now().toISOString()).toBe('2026-02-03T04:05:06.000Z');
    await clock.advance(1_000);
    expect(clock.now().toISOString()).toBe('2026-02-03T04:05:07.000Z');
  });

  it('ends waits in the order of their times, each at its own time', async () => {
    const clock = createFakeClock();
    const seen: string[] = [];
    const note = async (name: string, ms: number): Promise<void> => {
      await clock.wait(ms);
      seen.push(`${name} ${clock.now().getTime() - start}`);
    };
    const start = clock.now().getTime();
    const waits = [note('late', 300), note('early', 100), note('never', 900)];
    await clock.untilWaiting(3);
    await clock.advance(500);
    expect(seen).toEqual(['early 100', 'late 300']);
    expect(clock.waiting).toBe(1);
    await clock.advance(400);
    await Promise.all(waits);
  });

  it('ends within one advance what is waited for only after an earlier wait', async () => {
    const clock = createFakeClock();
    const twice = async (): Promise<void> => {
      await clock.wait(100);
      await clock.wait(100);
    };
    const done = twice();
    await clock.advance(200);
    await done;
    expect(clock.waiting).toBe(0);
  });

  it('ends a wait with the reason of its signal', async () => {
    const clock = createFakeClock();
    const controller = new AbortController();
    const wait = clock.wait(100, { signal: controller.signal });
    controller.abort(new Error('stopped'));
    await expect(wait).rejects.toThrow('stopped');
    await expect(clock.wait(100, { signal: controller.signal })).rejects.toThrow('stopped');
    expect(clock.waiting).toBe(0);
  });
});

describe('the test call and op', () => {
  it('aborts at its deadline and with the given signal', async () => {
    const clock = createFakeClock();
    const call = createTestCall({ timeoutMs: 20, clock });
    expect(call.deadline.getTime() - clock.now().getTime()).toBe(20);
    await new Promise((resolve) => call.signal.addEventListener('abort', resolve, { once: true }));
    const controller = new AbortController();
    const given = createTestCall({ signal: controller.signal });
    expect(given.signal.aborted).toBe(false);
    controller.abort();
    expect(given.signal.aborted).toBe(true);
  });

  it('records what is logged and reported', () => {
    const op = createTestOp({ key: 'run:ci:2', attempt: 3 });
    op.logger.warn({ job: 'web' }, 'Job not found');
    op.report({ message: 'building', fraction: 0.5 });
    expect(op).toMatchObject({ key: 'run:ci:2', attempt: 3, progress: [{ message: 'building', fraction: 0.5 }] });
    expect(op.logger.records).toEqual([{ level: 'warn', fields: { job: 'web' }, message: 'Job not found' }]);
    expect(createTestLogger().messages()).toEqual([]);
  });

  it('is an op of exactly the services that were given', () => {
    const op = createTestOp({ shell: createTestShell(folder.path), files: createMemoryFileStore() });
    expectTypeOf(op).toExtend<Op<'shell' | 'files'>>();
    expectTypeOf(op).not.toExtend<Op<'source'>>();
    expectTypeOf(createTestOp({ key: 'a' })).toExtend<Op>();
    expect(Object.keys(op)).not.toContain('source');
  });
});

describe('the test shell', () => {
  it('runs a command in its folder with a minimal environment, and takes a failure as a result', async () => {
    const shell = createTestShell(folder.path);
    const seen: string[] = [];
    const result = await shell.run(['sh', '-c', 'pwd; env | cut -d= -f1 | sort | tr "\\n" " "; cat; echo bad >&2; exit 3'], {
      env: { COLOUR: 'red' },
      input: 'given',
      onOutput: (text) => seen.push(text),
    });
    expect(result).toEqual({ exitCode: 3, stdout: `${folder.path}\nCOLOUR HOME LANG PATH PWD given`, stderr: 'bad\n' });
    expect(seen.join('')).toContain('given');
  });

  it('ends a command and its children at the timeout', async () => {
    const slow = createTestShell(folder.path).run(['sh', '-c', 'sleep 60 & wait'], { timeoutMs: 50 });
    await expect(slow).rejects.toMatchObject({ code: 'COMMAND_TIMED_OUT', recovery: 'reconcile' });
  });

  it('ends a command when the signal of its call is aborted, before or while it runs', async () => {
    const controller = new AbortController();
    const shell = createTestShell(folder.path, { signal: controller.signal });
    const started = shell.run(['sh', '-c', 'echo started; sleep 60'], { onOutput: () => controller.abort(new Error('stopped')) });
    await expect(started).rejects.toMatchObject({ code: 'COMMAND_ABORTED', cause: new Error('stopped') });
    await expect(shell.run(['sleep', '60'])).rejects.toMatchObject({ code: 'COMMAND_ABORTED' });
  });

  it('tells how a signal ended a command', async () => {
    expect((await createTestShell(folder.path).run(['sh', '-c', 'kill -TERM $$'])).exitCode).toBe(128 + 15);
  });

  it('stops at a command that does not exist', async () => {
    await expect(createTestShell(folder.path).run(['no-such-command'])).rejects.toMatchObject({
      code: 'COMMAND_NOT_FOUND',
      recovery: 'stop',
    });
  });

  it('writes with a mode, makes parent folders, and reads back', async () => {
    const shell = createTestShell(folder.path);
    await shell.write('a/b/run.sh', '#!/bin/sh\necho ran\n', { mode: 0o755 });
    expect((await shell.run(['./run.sh'], { cwd: 'a/b' })).stdout).toBe('ran\n');
    await shell.write('copy', shell.read('a/b/run.sh'));
    expect(await readText(shell.read('copy'))).toBe('#!/bin/sh\necho ran\n');
  });

  it('says that a file is not there, on the first read', async () => {
    const error = await readText(createTestShell(folder.path).read('missing')).catch((thrown: unknown) => thrown);
    expect(isPluginError(error) && error.code).toBe('SHELL_FILE_NOT_FOUND');
  });
});

describe('the test source', () => {
  it('is a real git repository, and the same files give the same commit', async () => {
    const files = { 'script/cibuild': { text: '#!/bin/sh\n', mode: 0o755 }, 'README.md': 'web' };
    const [one, two] = [await createTestSource({ files }), await createTestSource({ files })];
    expect(one.commit.sha).toMatch(/^[0-9a-f]{40}$/);
    expect(one.commit.sha).toBe(two.commit.sha);
    expect(one.commit).toMatchObject({ committedAt: '2026-01-01T00:00:00.000Z', repository: { name: 'acme/web', url: one.folder } });
    await one.remove();
    await two.remove();
  });

  it('checks out the exact commit with modes and links and without .git', async () => {
    const source = await createTestSource({ files: { 'bin/run': { text: 'run', mode: 0o755 }, link: { link: 'bin/run' }, gone: 'old' } });
    const next = await source.commitNext({ gone: undefined, 'README.md': 'new' }, '2026-03-04T05:06:07Z');
    const shell = createTestShell(folder.path);
    await source.checkOut(shell, 'old');
    await next.checkOut(shell, 'new/deep');
    const list = await shell.run(['find', '.', '-mindepth', '2', '(', '-type', 'f', '-o', '-type', 'l', ')', '-printf', '%p %m [%l]\n']);
    expect(list.stdout.trim().split('\n').sort()).toEqual([
      './new/deep/README.md 644 []',
      './new/deep/bin/run 755 []',
      './new/deep/link 777 [bin/run]',
      './old/bin/run 755 []',
      './old/gone 644 []',
      './old/link 777 [bin/run]',
    ]);
    expect(next.commit.committedAt).toBe('2026-03-04T05:06:07.000Z');
    await source.remove();
  });

  it('reads a file of the commit, and undefined where there is none', async () => {
    const source = await createTestSource({ files: { 'pipit.yaml': 'description: web\n', 'script/cibuild': '' } });
    expect(await source.readText('pipit.yaml')).toBe('description: web\n');
    expect(await source.readText('script/cibuild')).toBe('');
    expect(await source.readText('missing')).toBeUndefined();
    expect(await source.readText('script')).toBeUndefined();
    await source.remove();
    await expect(access(source.folder)).rejects.toThrow('ENOENT');
  });
});

describe('the file store in memory', () => {
  it('measures what passes', async () => {
    const store = createMemoryFileStore();
    const file = await store.put(store.get(store.putBytes('abc')));
    expect(file).toEqual({ sha256: 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', size: 3 });
    expect(await readText(store.get(file))).toBe('abc');
    expect(store.digests).toEqual([file.sha256]);
  });

  it.each([
    ['FILE_NOT_STORED', () => {}],
    [
      'FILE_CORRUPT',
      (store: ReturnType<typeof createMemoryFileStore>, file: { sha256: `sha256:${string}`; size: number }) => store.corrupt(file),
    ],
  ] as const)('throws %s rather than hand out other bytes', async (code, spoil) => {
    const file = createMemoryFileStore().putBytes('abc');
    const store = createMemoryFileStore();
    spoil(store, file);
    await expect(readText(store.get(file))).rejects.toMatchObject({ code, recovery: 'stop' });
  });
});

describe('the test set-up', () => {
  it('gives a plugin a folder, a logger and a sandbox that confines nothing', async () => {
    const setup = createTestSetup({ folder: folder.path, instance: 'ci' });
    expect(setup).toMatchObject({ instance: 'ci', folder: folder.path, sandbox: { mode: 'trusted' } });
    expect(createTrustedSandbox().confine(['make'], { folder: folder.path, env: { A: '1' } })).toEqual({
      argv: ['make'],
      env: { PATH: expect.any(String), LANG: 'C.UTF-8', HOME: folder.path, A: '1' },
    });
    await mkdir(join(setup.folder, 'cache'));
    await expect(readFile(join(setup.folder, 'cache', 'missing'))).rejects.toThrow('ENOENT');
  });
});
