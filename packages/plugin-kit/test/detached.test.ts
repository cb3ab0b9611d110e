import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  type DetachedOptions,
  type DetachedState,
  inspectDetached,
  minimalEnvironment,
  readDetachedLog,
  startDetached,
  stopDetached,
} from '../src/index.js';
import { buildProgram } from './build-program.js';
import { temporaryFolder } from './temporary-folder.js';
import { isRunning, waitUntil } from './wait-until.js';

const task = async (script: string, options: Partial<DetachedOptions> = {}): Promise<DetachedOptions> => {
  const home = await temporaryFolder();
  const folder = join(home, 'task');
  onTestFinished(() => stopDetached(folder));
  return { folder, cwd: home, env: minimalEnvironment(home), argv: ['sh', '-c', script], ...options };
};

const ended = (folder: string) =>
  waitUntil('the task has ended', async () => {
    const state = await inspectDetached(folder);
    return state?.state === 'running' ? undefined : state;
  });

const logOf = async (folder: string): Promise<string> => (await readDetachedLog(folder)).text;

/** A process of its own that starts the task, with all it needs to be killed. */
const startIn = (program: string, options: DetachedOptions) => {
  const starter = spawn(process.execPath, [program, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  let printed = '';
  starter.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  return {
    hasPrinted: (word: string) => waitUntil(`the starter says ${word}`, () => printed.includes(word)),
    async kill() {
      const exit = once(starter, 'exit');
      process.kill(-(starter.pid ?? 0), 'SIGKILL');
      await exit;
    },
  };
};

const runnerOf = (state: DetachedState): number => (state.state === 'running' ? state.pid : expect.fail(`it is ${state.state}`));

const isGroupGone = (leader: number): boolean => {
  try {
    process.kill(-leader, 0);
    return false;
  } catch {
    return true;
  }
};

const pidIn = (path: string) =>
  waitUntil(`a pid in ${path}`, async () => Number(await readFile(path, 'utf8').catch(() => '')) || undefined);

describe('a detached task', () => {
  it('is unknown before its start', async () => {
    expect(await inspectDetached(join(await temporaryFolder(), 'task'))).toBeUndefined();
  });

  it('ends with its exit code and the output of both streams', async () => {
    const options = await task('echo out; echo err >&2; exit 7');
    expect((await startDetached(options)).state).not.toBe('lost');
    expect(await ended(options.folder)).toEqual({ state: 'ended', exitCode: 7 });
    expect(await logOf(options.folder)).toBe('out\nerr\n');
    expect((await readdir(options.folder)).sort()).toEqual(['child', 'ended', 'log', 'started']);
  });

  it('gets exactly the given environment, folder and arguments, and an ordinary umask', async () => {
    const options = await task('', {
      argv: ['sh', '-c', 'printf "%s|" "$@"; pwd; umask; exec env', 'name', "it's", '', '$X', 'a  b'],
      env: { PATH: '/usr/bin:/bin', max: '1', folder: 'mine' },
    });
    await startDetached(options);
    await ended(options.folder);
    const [first = '', mask, ...environment] = (await logOf(options.folder)).trimEnd().split('\n');
    expect(first).toBe(`it's||$X|a  b|${options.cwd}`);
    expect(mask).toBe('0022');
    // The task's own shell adds PWD.
    expect(environment.filter((line) => !line.startsWith('PWD=') && !line.startsWith('_=')).sort()).toEqual([
      'PATH=/usr/bin:/bin',
      'folder=mine',
      'max=1',
    ]);
  });

  it('shows its log while it runs', async () => {
    const options = await task('echo hello; while [ ! -e go ]; do sleep 0.02; done; echo bye');
    await startDetached(options);
    const first = await waitUntil('the first line', async () => {
      const reading = await readDetachedLog(options.folder);
      return reading.text === '' ? undefined : reading;
    });
    expect(first.text).toBe('hello\n');
    expect(await inspectDetached(options.folder)).toMatchObject({ state: 'running' });
    expect((await readDetachedLog(options.folder, first.cursor)).text).toBe('');
    await writeFile(join(options.cwd, 'go'), '');
    await ended(options.folder);
    expect((await readDetachedLog(options.folder, first.cursor)).text).toBe('bye\n');
  });

  it('never cuts a character of its log in two', async () => {
    const options = await task("printf 'a\\303'; while [ ! -e go ]; do sleep 0.02; done; printf '\\251b'");
    await startDetached(options);
    const first = await waitUntil('the first piece', async () => {
      const reading = await readDetachedLog(options.folder);
      return reading.text === '' ? undefined : reading;
    });
    expect(first.text).toBe('a');
    await writeFile(join(options.cwd, 'go'), '');
    await ended(options.folder);
    expect((await readDetachedLog(options.folder, first.cursor)).text).toBe('éb');
  });

  it('is started once, however often and by however many it is asked for', async () => {
    const options = await task('echo x >> ran; while [ ! -e go ]; do sleep 0.02; done');
    const states = await Promise.all(Array.from({ length: 20 }, () => startDetached(options)));
    const pids = new Set(states.map((state) => (state.state === 'running' ? state.pid : state.state)));
    expect(pids.size).toBe(1);
    await waitUntil('it ran', () => readFile(join(options.cwd, 'ran')).then(Boolean, () => false));
    await writeFile(join(options.cwd, 'go'), '');
    await ended(options.folder);
    expect(await startDetached(options)).toMatchObject({ state: 'ended', exitCode: 0 });
    expect(await readFile(join(options.cwd, 'ran'), 'utf8')).toBe('x\n');
  });

  it('goes on when its starter is killed', async () => {
    const options = await task('echo $$ > pid; while [ ! -e go ]; do sleep 0.02; done; echo survived; exit 5');
    const starter = startIn(await buildProgram('start-and-hang', await temporaryFolder()), options);
    await starter.hasPrinted('started');
    const pid = await pidIn(join(options.cwd, 'pid'));
    await starter.kill();
    expect(await isRunning(pid)).toBe(true);
    expect(await startDetached(options)).toMatchObject({ state: 'running' });
    await writeFile(join(options.cwd, 'go'), '');
    expect(await ended(options.folder)).toEqual({ state: 'ended', exitCode: 5 });
    expect(await logOf(options.folder)).toBe('survived\n');
  });

  it('runs once, whenever its starter is killed', async () => {
    const program = await buildProgram('start-and-hang', await temporaryFolder());
    for (let killAfterMs = 0; killAfterMs <= 40; killAfterMs += 4) {
      const options = await task('echo x >> ran');
      const starter = startIn(program, options);
      await starter.hasPrinted('ready');
      await delay(killAfterMs);
      await starter.kill();
      await startDetached(options);
      expect(await ended(options.folder)).toEqual({ state: 'ended', exitCode: 0 });
      expect(await readFile(join(options.cwd, 'ran'), 'utf8')).toBe('x\n');
    }
  });

  it('ends with all it started at the time limit', async () => {
    const options = await task('(trap "" TERM; sleep 301) & echo $! > pid; wait; echo never', { timeLimitMs: 300 });
    await startDetached(options);
    const pid = await pidIn(join(options.cwd, 'pid'));
    expect(await ended(options.folder)).toMatchObject({ state: 'ended', reason: 'timeLimit' });
    expect(await isRunning(pid)).toBe(false);
    expect(await logOf(options.folder)).not.toContain('never');
  });

  it('ends when it ignores the polite signal', async () => {
    const options = await task('trap "" TERM; while :; do sleep 0.1; done', { timeLimitMs: 100 });
    await startDetached(options);
    expect(await ended(options.folder)).toEqual({ state: 'ended', exitCode: 137, reason: 'timeLimit' });
  });

  it('ends at the output limit, and keeps no more than that', async () => {
    const options = await task('exec yes', { maxOutputBytes: 10_000 });
    await startDetached(options);
    expect(await ended(options.folder)).toMatchObject({ state: 'ended', reason: 'outputLimit' });
    expect((await stat(join(options.folder, 'log'))).size).toBeLessThanOrEqual(10_001);
  });

  it('may write exactly as much as allowed', async () => {
    const options = await task('head -c 10000 /dev/zero; exit 4', { maxOutputBytes: 10_000 });
    await startDetached(options);
    expect(await ended(options.folder)).toEqual({ state: 'ended', exitCode: 4 });
  });

  it('leaves nothing running and does not wait for what holds its output', async () => {
    const options = await task('sleep 302 & echo $! > pid');
    await startDetached(options);
    expect(await ended(options.folder)).toEqual({ state: 'ended', exitCode: 0 });
    const pid = await pidIn(join(options.cwd, 'pid'));
    await waitUntil('the leftover has ended', async () => !(await isRunning(pid)));
  });

  it('is stopped with all it started', async () => {
    const options = await task('sleep 303 & echo $! > pid; wait');
    const started = await startDetached(options);
    const pid = await pidIn(join(options.cwd, 'pid'));
    await stopDetached(options.folder);
    expect(await inspectDetached(options.folder)).toMatchObject({ state: 'ended', reason: 'stopped' });
    await waitUntil('the child has ended', async () => !(await isRunning(pid)));
    if (started.state === 'running') await waitUntil('the runner has ended', async () => !(await isRunning(started.pid)));
    await stopDetached(options.folder);
  });

  it('is lost when its runner is killed, and what it left is ended by a stop', async () => {
    const options = await task('echo $$ > pid; exec sleep 304');
    const started = await startDetached(options);
    const pid = await pidIn(join(options.cwd, 'pid'));
    await waitUntil('the child is recorded', () => stat(join(options.folder, 'child')).then(Boolean, () => false));
    const runner = runnerOf(started);
    process.kill(runner, 'SIGKILL');
    const lost = await waitUntil('it is lost', async () => {
      const state = await inspectDetached(options.folder);
      return state?.state === 'lost' ? state : undefined;
    });
    expect(lost.reason).toContain('killed');
    await stopDetached(options.folder);
    await waitUntil('the task has ended', async () => !(await isRunning(pid)));
    await waitUntil("the runner's helpers have ended", () => isGroupGone(runner));
  });

  it('still ends at the time limit when its runner is killed', async () => {
    const options = await task('echo $$ > pid; exec sleep 305', { timeLimitMs: 1_000 });
    const started = await startDetached(options);
    const pid = await pidIn(join(options.cwd, 'pid'));
    await waitUntil('the child is recorded', () => stat(join(options.folder, 'child')).then(Boolean, () => false));
    process.kill(runnerOf(started), 'SIGKILL');
    await waitUntil('the task has ended', async () => !(await isRunning(pid)));
  });

  it.each([
    ['another process has its pid', `${process.pid} 1 BOOT`, 'killed'],
    ['the machine was restarted', `${process.pid} START 00000000-0000-0000-0000-000000000000`, 'restarted'],
  ])('is lost when %s', async (_name, record, reason) => {
    const folder = join(await temporaryFolder(), 'task');
    await mkdir(folder);
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const start = (await readFile('/proc/self/stat', 'utf8')).split(') ')[1]?.split(' ')[19] ?? '';
    await writeFile(join(folder, 'started'), `${record.replace('BOOT', boot).replace('START', start)}\n`);
    expect(await inspectDetached(folder)).toMatchObject({ state: 'lost', reason: expect.stringContaining(reason) });
  });

  it('refuses a folder that is not there and a command without a program', async () => {
    const options = await task('true');
    await expect(startDetached({ ...options, cwd: '/nowhere/at/all' })).rejects.toMatchObject({ code: 'COMMAND_FOLDER_MISSING' });
    await expect(startDetached({ ...options, argv: [] })).rejects.toMatchObject({ code: 'COMMAND_EMPTY' });
    expect(await inspectDetached(options.folder)).toBeUndefined();
  });

  it('fails clearly where its folder cannot be written', async () => {
    const home = await temporaryFolder();
    const folder = join(home, 'task');
    await mkdir(join(folder, 'log'), { recursive: true });
    // A full disk and a read-only folder look the same to the runner: its record cannot be made. /proc is such a folder for everybody.
    await expect(
      startDetached({ folder: `/proc/${process.pid}`, cwd: home, env: minimalEnvironment(home), argv: ['true'] }),
    ).rejects.toMatchObject({
      code: 'DETACHED_NOT_STARTED',
      recovery: 'retry',
    });
  });
});
