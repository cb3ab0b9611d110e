import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildResult, Sandbox, TaskState } from '@pipit/core';
import { createSandbox, DEFAULT_SANDBOX_LIMITS } from '@pipit/plugin-kit';
import {
  createMemoryFileStore,
  createTemporaryFolder,
  createTestOp,
  createTestShell,
  createTestSource,
  createTrustedSandbox,
  type TestFiles,
} from '@pipit/plugin-testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openCi, passing, requestFor, script } from './build-requests.js';

/** A build of these files, in a folder of its own. */
const open = async (
  files: TestFiles,
  { sandbox, ...limits }: { readonly sandbox?: Sandbox; readonly timeLimitMs?: number; readonly maxOutputBytes?: number } = {},
) => {
  const folder = await createTemporaryFolder();
  const source = await createTestSource({ files });
  const request = requestFor(source);
  const ci = openCi(sandbox ?? (await createSandbox({ hidden: [folder.path] })), limits);
  const createOp = () =>
    createTestOp({
      key: 'run-1:build:1',
      shell: createTestShell(folder.path),
      source,
      callbackUrl: 'http://127.0.0.1:1/',
      files: { ...createMemoryFileStore(), maxFileBytes: 2 * 1024 * 1024 },
    });
  onTestFinished(async () => {
    await ci.cancel?.({ handle: folder.path, request }, createOp());
    await folder.remove();
    await source.remove();
  });
  const started = async () => ({ request, handle: await ci.start(request, createOp()) });
  const end = async (handle: string): Promise<BuildResult> => {
    let state: TaskState<BuildResult> | undefined;
    await expect
      .poll(
        async () => {
          state = await ci.inspect({ handle, request }, createOp());
          return state.state;
        },
        { timeout: 20_000, interval: 20 },
      )
      .not.toBe('running');
    return state?.state === 'ended' ? state.result : expect.fail(`the build is ${JSON.stringify(state)}`);
  };
  const build = async (): Promise<BuildResult> => end((await started()).handle);
  const log = async (): Promise<string> => (await ci.readLog?.({ handle: folder.path, request }, undefined, createOp()))?.text ?? '';
  return { folder: folder.path, source, request, ci, createOp, started, end, build, log };
};

describe('the local CI', () => {
  it('fails with the limit that a build broke', async () => {
    const limits = { ...DEFAULT_SANDBOX_LIMITS, fileBytes: 1024 ** 2 };
    const { build } = await open(
      { ...passing, 'script/cibuild': script('exec head -c 3000000 /dev/zero > big') },
      { sandbox: await createSandbox({ hidden: [], limits }) },
    );
    expect(await build()).toEqual({
      outcome: 'failed',
      raw: '153',
      reason: 'script/cibuild exited 153; file limit 1 MiB: a process was ended that wrote a larger one',
    });
  });

  it('runs both scripts in the commit and passes with the commit it built', async () => {
    const { build, log, source } = await open({
      'file.txt': 'of the commit',
      'script/cisetup': script('cat file.txt; echo kept > prepared'),
      'script/cibuild': script('cat prepared; echo "$CI $PIPIT_APP $PIPIT_COMMIT $PIPIT_REF"; test ! -e .git'),
    });
    expect(await build()).toEqual({ outcome: 'passed', raw: '0', commit: source.commit.sha });
    expect(await log()).toBe(`+ script/cisetup\nof the commit+ script/cibuild\nkept\ntrue web ${source.commit.sha} refs/heads/main\n`);
  });

  it.each([
    ['cisetup', { ...passing, 'script/cisetup': script('exit 4') }, 'script/cisetup exited 4', '4'],
    ['cibuild', { ...passing, 'script/cibuild': script('exit 3') }, 'script/cibuild exited 3', '3'],
    ['a signal', { ...passing, 'script/cibuild': script('kill -9 $$') }, 'script/cibuild exited 137', '137'],
  ])('says which script failed: %s', async (_name, files, reason, raw) => {
    const { build } = await open(files);
    expect(await build()).toEqual({ outcome: 'failed', raw, reason });
  });

  it.each([
    ['missing', { 'script/cisetup': script('exit 0') }, /^script\/cibuild is missing: .*chmod \+x script\/cibuild/],
    [
      'not executable',
      { ...passing, 'script/cisetup': '#!/bin/sh\n' },
      /^script\/cisetup is not executable: .*git add --chmod=\+x script\/cisetup/,
    ],
  ])('fails with what to do when a script is %s', async (_name, files, reason) => {
    const { build, started, ci, request, createOp } = await open(files);
    expect(await build()).toEqual({ outcome: 'failed', raw: 'not started', reason: expect.stringMatching(reason) });
    expect(await ci.find(request, createOp())).toBe((await started()).handle);
  });

  it('ends a build at its time limit', async () => {
    const { build } = await open({ ...passing, 'script/cibuild': script('sleep 300') }, { timeLimitMs: 1_000 });
    expect(await build()).toMatchObject({ outcome: 'failed', reason: 'script/cibuild ran longer than 1 s' });
  });

  it('ends a build at its output limit', async () => {
    const { build, log } = await open({ ...passing, 'script/cibuild': script('exec yes') }, { maxOutputBytes: 64 * 1024 });
    expect(await build()).toMatchObject({ outcome: 'failed', reason: 'script/cibuild wrote more than 64 KiB' });
    expect((await log()).length).toBeLessThanOrEqual(64 * 1024 + 1);
  });

  it('is cancelled with all it started', async () => {
    const { started, end, ci, createOp, folder } = await open({
      ...passing,
      'script/cibuild': script('echo x > "$PIPIT_OUTPUT/up"; sleep 300 & wait'),
    });
    const build = await started();
    await expect.poll(() => stat(join(folder, 'output', 'up')).then(Boolean, () => false), { timeout: 10_000 }).toBe(true);
    await ci.cancel?.(build, createOp());
    expect(await end(build.handle)).toEqual({ outcome: 'cancelled', raw: expect.any(String), reason: 'The build was cancelled' });
  });

  it('is one build when it is started again while it runs', async () => {
    const { started, end, ci, request, createOp, folder } = await open({
      ...passing,
      'script/cibuild': script('echo once >> "$PIPIT_OUTPUT/count"; while [ ! -e "$PIPIT_OUTPUT/go" ]; do sleep 0.02; done'),
    });
    const build = await started();
    const count = join(folder, 'output', 'count');
    await expect.poll(() => readFile(count, 'utf8').catch(() => ''), { timeout: 10_000 }).toBe('once\n');
    expect(await ci.find(request, createOp())).toBe(build.handle);
    expect(await started()).toEqual(build);
    await writeFile(join(folder, 'output', 'go'), '');
    expect(await end(build.handle)).toMatchObject({ outcome: 'passed' });
    expect(await readFile(count, 'utf8')).toBe('once\n');
  });

  it('starts anew after a start that was cut off before the task began', async () => {
    const { started, end, ci, request, createOp, folder } = await open(passing);
    await mkdir(join(folder, 'source', 'left'), { recursive: true });
    await writeFile(
      join(folder, 'build.json'),
      JSON.stringify({ key: 'run-1:build:1', commit: request.commit.sha, timeLimitMs: 1, maxOutputBytes: 1 }),
    );
    expect(await ci.find(request, createOp())).toBeUndefined();
    expect(await end((await started()).handle)).toMatchObject({ outcome: 'passed' });
  });

  it('hides what is not the build from the scripts: records, log, data folder, environment', async () => {
    const { build, log, folder } = await open({
      ...passing,
      'script/cibuild': script(
        'ls -A ..; cat ../build.json ../task/log; echo forged > ../task/ended; echo forged > ../build.json; id -u; env | cut -d= -f1 | sort | tr "\\n" " "; touch "$HOME/ok" "$TMPDIR/ok" "$PIPIT_OUTPUT/ok"; true',
      ),
    });
    expect(await build()).toMatchObject({ outcome: 'passed' });
    const said = await log();
    const lines = said.split('\n').filter((line) => line !== '' && !line.startsWith('+ ') && !line.includes(': '));
    expect(lines.slice(0, 6)).toEqual(['setting up', 'home', 'output', 'progress', 'source', 'tmp']);
    expect(said).not.toContain('run-1:build:1');
    expect(Number(lines[6])).not.toBe(process.getuid?.());
    expect(
      lines[7]
        ?.trim()
        .split(' ')
        .filter((name) => !['OLDPWD', 'PWD', '_'].includes(name)),
    ).toEqual(['CI', 'HOME', 'LANG', 'PATH', 'PIPIT_APP', 'PIPIT_COMMIT', 'PIPIT_OUTPUT', 'PIPIT_REF', 'TMPDIR']);
    expect(await readFile(join(folder, 'build.json'), 'utf8')).toContain('run-1:build:1');
  });

  it.each([
    ['a link', 'ln -s /etc/passwd "$PIPIT_OUTPUT/leak"'],
    ['a folder that is a link', 'ln -s /etc "$PIPIT_OUTPUT/leak"'],
    ['a pipe', 'mkfifo "$PIPIT_OUTPUT/leak"'],
    ['a link to an endless device', 'ln -s /dev/zero "$PIPIT_OUTPUT/leak"'],
    ['a link that means another file outside', 'ln -s /proc/self/cwd/etc/shadow "$PIPIT_OUTPUT/leak"'],
    ['a name with a line break', 'touch "$PIPIT_OUTPUT/a\nb"'],
    ['three gigabytes of holes', 'truncate -s 3G "$PIPIT_OUTPUT/leak"'],
    ['many files that are too large together', 'for i in 1 2 3; do truncate -s 1M "$PIPIT_OUTPUT/$i"; done'],
  ])('refuses %s among the outputs, which could lead anywhere', async (_name, command) => {
    const { started, end, ci, createOp } = await open({ ...passing, 'script/cibuild': script(command) });
    const build = await started();
    expect(await end(build.handle)).toMatchObject({ outcome: 'passed' });
    await expect(ci.collect?.(build, createOp())).rejects.toMatchObject({ code: 'LOCAL_CI_OUTPUT_REFUSED', recovery: 'stop' });
  });

  it('reads through no link where the scripts say how far they are', async () => {
    const { build, folder } = await open({
      ...passing,
      'script/cibuild': script('cd ../progress && rm script && ln -s ../note script; exit 5'),
    });
    await writeFile(join(folder, 'note'), 'script/cibuild');
    expect(await build()).toMatchObject({ outcome: 'failed', reason: 'script/cisetup exited 5' });
  });

  it('refuses a shell of another place', async () => {
    const { ci, request, createOp, source } = await open(passing);
    const op = createOp();
    const elsewhere = { ...op.shell, write: async () => undefined };
    await expect(ci.start(request, { ...op, source, shell: elsewhere })).rejects.toMatchObject({
      code: 'LOCAL_CI_NOT_HERE',
      recovery: 'stop',
    });
  });

  it('says that a build is lost when its folder or its runner is gone', async () => {
    const { started, ci, createOp, folder } = await open(
      { ...passing, 'script/cibuild': script('sleep 300') },
      { sandbox: createTrustedSandbox() },
    );
    const build = await started();
    const state = await ci.inspect(build, createOp());
    expect(state).toEqual({ state: 'running' });
    const [pid = ''] = (await readFile(join(folder, 'task', 'started'), 'utf8')).split(' ');
    process.kill(Number(pid), 'SIGKILL');
    await expect.poll(async () => (await ci.inspect(build, createOp())).state, { timeout: 10_000 }).toBe('lost');
    await ci.cancel?.(build, createOp());
    await rm(folder, { recursive: true, force: true });
    expect(await ci.inspect(build, createOp())).toMatchObject({ state: 'lost' });
  });
});
