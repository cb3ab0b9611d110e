import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { type Labels, PluginError } from '@pipit/core';
import { startFailure } from '../command/missing-program.js';
import { type DetachedState, inspectDetached } from './inspect-detached.js';
import { RUNNER_SCRIPT } from './runner-script.js';
import { readStarted } from './task-record.js';

export interface DetachedOptions {
  /** The task's own folder, for its records and log; made when missing, mode 0700. The task itself must not be able to write there. */
  readonly folder: string;
  /** The program and its arguments; no shell reads them. */
  readonly argv: readonly string[];
  /** The whole environment. */
  readonly env: Labels;
  readonly cwd: string;
  /** Milliseconds; the task's process group is ended after it. Default: none. */
  readonly timeLimitMs?: number;
  /** Bytes of output, both streams together; the task's process group is ended after them. Default {@link DEFAULT_MAX_TASK_OUTPUT_BYTES}. */
  readonly maxOutputBytes?: number;
}

export const DEFAULT_MAX_TASK_OUTPUT_BYTES = 10 * 1024 * 1024;

/**
 * Starts a task that outlives this process, once for a folder: where one was started before, by whomever, it is left as it is.
 *
 * @returns what the task of this folder is doing
 * @throws PluginError `COMMAND_EMPTY`, `COMMAND_FOLDER_MISSING` (stop), `DETACHED_NOT_STARTED` (retry)
 */
export const startDetached = async (options: DetachedOptions): Promise<DetachedState> => {
  const { folder, argv, cwd } = options;
  const before = await inspectDetached(folder);
  if (before !== undefined) return before;
  if (argv[0] === undefined || argv[0] === '')
    throw new PluginError({ code: 'COMMAND_EMPTY', message: 'A command without a program was to be run', recovery: 'stop' });
  await mkdir(folder, { recursive: true, mode: 0o700 });

  const timeLimit = options.timeLimitMs === undefined ? 'infinity' : `${options.timeLimitMs / 1000}`;
  const maxOutputBytes = Math.floor(options.maxOutputBytes ?? DEFAULT_MAX_TASK_OUTPUT_BYTES);
  const runner = spawn('/bin/sh', ['-c', RUNNER_SCRIPT, 'pipit-task', folder, timeLimit, `${maxOutputBytes}`, ...argv], {
    cwd,
    env: { ...options.env },
    detached: true,
    stdio: 'ignore',
  });
  try {
    await once(runner, 'spawn');
  } catch (thrown) {
    throw await startFailure('/bin/sh', cwd, thrown);
  }
  runner.unref();
  // The runner may already belong to nobody: it records itself, so that a crash here loses nothing.
  while ((await readStarted(folder)) === undefined) {
    if (runner.exitCode !== null || runner.signalCode !== null) {
      if ((await readStarted(folder)) !== undefined) break;
      throw new PluginError({
        code: 'DETACHED_NOT_STARTED',
        message: `No task could be started in ${folder}`,
        hint: 'Look whether the disk is full or the folder is read-only, and whether /proc is there.',
        recovery: 'retry',
      });
    }
    await delay(5);
  }
  const state = await inspectDetached(folder);
  if (state === undefined) throw new Error(`The record in ${folder} vanished`);
  return state;
};
