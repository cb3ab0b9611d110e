import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { MAX_OUTPUT_BYTES, minimalEnvironment, runCommand } from '../src/index.js';
import { temporaryFolder } from './temporary-folder.js';
import { isRunning, waitUntil } from './wait-until.js';

const environment = minimalEnvironment('/');
const sh = (script: string, options: Partial<Parameters<typeof runCommand>[1]> = {}) =>
  runCommand(['sh', '-c', script], { cwd: '/', env: environment, ...options });

describe('runCommand', () => {
  it('gives a non-zero exit as a result, with both streams', async () => {
    expect(await sh('echo out; echo err >&2; exit 3')).toEqual({ exitCode: 3, stdout: 'out\n', stderr: 'err\n' });
  });

  it('gives 128 + n when a signal ended the command', async () => {
    expect((await sh('kill -9 $$')).exitCode).toBe(137);
  });

  it('passes exactly the given environment', async () => {
    const { stdout } = await runCommand(['/usr/bin/env'], { cwd: '/', env: { ONLY: 'this' } });
    expect(stdout).toBe('ONLY=this\n');
  });

  it('passes arguments that a shell would change', async () => {
    const odd = ['a b', '$HOME', '*', "'", '"', '\n', '', '; id'];
    const { stdout } = await runCommand(['printf', '%s|', ...odd], { cwd: '/', env: environment });
    expect(stdout).toBe(odd.map((text) => `${text}|`).join(''));
  });

  it('gives all that a program said which ends while this process is busy', async () => {
    const keepBusy = (ms: number): void => {
      for (const until = performance.now() + ms; performance.now() < until; );
    };
    // Two programs have ended when this process looks. While it is told of the first, the third says its word and ends; of that it is told
    // with the second, before it has read anything, and is busy again for longer than output is waited for.
    const beBusy = (): void => keepBusy(900);
    process.on('SIGCHLD', beBusy);
    onTestFinished(() => void process.off('SIGCHLD', beBusy));
    const others = [sh('true'), sh('true')];
    const late = sh('sleep 0.5; echo all');
    keepBusy(250);
    expect((await late).stdout).toBe('all\n');
    await Promise.all(others);
  });

  it('gives the input, and ends it', async () => {
    expect((await runCommand(['cat'], { cwd: '/', env: environment, input: 'häuser' })).stdout).toBe('häuser');
  });

  it('lives with a program that does not read its input', async () => {
    expect((await runCommand(['true'], { cwd: '/', env: environment, input: 'x'.repeat(1_000_000) })).exitCode).toBe(0);
  });

  it('keeps the last mebibyte of a long output, cut between characters', async () => {
    const { stdout } = await sh('yes é | head -c 3999999; echo; echo end');
    expect(Buffer.byteLength(stdout)).toBeLessThanOrEqual(MAX_OUTPUT_BYTES);
    expect(Buffer.byteLength(stdout)).toBeGreaterThan(MAX_OUTPUT_BYTES - 4);
    expect(stdout.endsWith('end\n')).toBe(true);
    expect(stdout).not.toContain('\ufffd');
  });

  it('tells output as it comes', async () => {
    const pieces: string[] = [];
    let sawFirstBeforeEnd = false;
    const folder = await temporaryFolder();
    const running = sh(`echo first; while [ ! -e ${folder}/go ]; do sleep 0.02; done; echo second >&2`, {
      onOutput: (text) => {
        pieces.push(text);
        if (text === 'first\n') {
          sawFirstBeforeEnd = true;
          void writeFile(join(folder, 'go'), '');
        }
      },
    });
    await running;
    expect(sawFirstBeforeEnd).toBe(true);
    expect(pieces.join('')).toBe('first\nsecond\n');
  });

  it('names the program that is missing, and the package to install', async () => {
    await expect(runCommand(['apt-ftparchive-missing'], { cwd: '/', env: environment })).rejects.toMatchObject({
      code: 'COMMAND_NOT_FOUND',
      recovery: 'stop',
      hint: expect.stringContaining('apt-ftparchive-missing'),
    });
    await expect(runCommand(['apt-ftparchive'], { cwd: '/', env: { PATH: '/nowhere' } })).rejects.toMatchObject({
      code: 'COMMAND_NOT_FOUND',
      hint: expect.stringContaining('apt-get install apt-utils'),
    });
  });

  it('tells a missing folder from a missing program', async () => {
    await expect(runCommand(['true'], { cwd: '/nowhere/at/all', env: environment })).rejects.toMatchObject({
      code: 'COMMAND_FOLDER_MISSING',
    });
  });

  it('tells a file that cannot be executed', async () => {
    await expect(runCommand(['/etc/passwd'], { cwd: '/', env: environment })).rejects.toMatchObject({
      code: 'COMMAND_NOT_STARTED',
      recovery: 'stop',
    });
    await expect(runCommand([], { cwd: '/', env: environment })).rejects.toMatchObject({ code: 'COMMAND_EMPTY' });
  });

  it.each(['time-out', 'abort'])('ends the whole process group on %s', async (how) => {
    const folder = await temporaryFolder();
    const abort = new AbortController();
    // A child that ignores SIGTERM's effect on its parent: only a signal to the group reaches it.
    const running = sh(`sleep 300 & echo $! > ${folder}/pid; wait`, how === 'abort' ? { signal: abort.signal } : { timeoutMs: 300 });
    const settled = expect(running).rejects.toMatchObject(
      how === 'abort' ? { code: 'COMMAND_ABORTED', recovery: 'reconcile' } : { code: 'COMMAND_TIMED_OUT', recovery: 'reconcile' },
    );
    const pid = await waitUntil(
      'the child has started',
      async () => Number(await readFile(join(folder, 'pid'), 'utf8').catch(() => '')) || undefined,
    );
    if (how === 'abort') abort.abort();
    await settled;
    await waitUntil('the child has ended', async () => !(await isRunning(pid)));
  });

  it('starts nothing after an abort', async () => {
    const folder = await temporaryFolder();
    await expect(sh(`touch ${folder}/ran`, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'COMMAND_ABORTED' });
    await expect(readFile(join(folder, 'ran'))).rejects.toThrow();
  });

  it('does not wait for what a program left behind', async () => {
    const { stdout, exitCode } = await sh('sleep 60 & echo $!');
    process.kill(Number(stdout), 'SIGKILL');
    expect(exitCode).toBe(0);
  }, 5_000);
});
