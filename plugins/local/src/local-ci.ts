import { mkdir, readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { assertNever, type BuildRequest, type BuildResult, type Ci, type Op, PluginError, type Sandbox, type TaskState } from '@pipit/core';
import { type DetachedState, inspectDetached, readDetachedLog, removeFolder, startDetached, stopDetached } from '@pipit/plugin-kit';
import { formatBytes, formatDuration } from './format-limit.js';
import { collectOutputs } from './local-ci-outputs.js';
import { BUILD_FOLDERS, type BuildRecord, readBuildRecord, writeBuildRecord } from './local-ci-record.js';
import { readScriptInProgress, scriptProblem, scriptsCommand } from './local-ci-scripts.js';

export interface LocalCiOptions {
  readonly sandbox: Sandbox;
  /** For both scripts together. */
  readonly timeLimitMs: number;
  /** Of both scripts together. */
  readonly maxOutputBytes: number;
}

type Ended = Extract<DetachedState, { state: 'ended' }>;

const foldersOf = (folder: string) => ({
  task: join(folder, BUILD_FOLDERS.task),
  source: join(folder, BUILD_FOLDERS.source),
  output: join(folder, BUILD_FOLDERS.output),
  home: join(folder, BUILD_FOLDERS.home),
  temporary: join(folder, BUILD_FOLDERS.temporary),
  progress: join(folder, BUILD_FOLDERS.progress),
  brokenLimit: join(folder, BUILD_FOLDERS.task, 'broken-limit'),
});

/** Proves that the shell's folder is one of this machine: the task runs here. */
const assertHere = async (op: Op<'shell'>): Promise<void> => {
  const proof = 'here';
  await op.shell.write(proof, op.key);
  const seen = await readFile(join(op.shell.folder, proof), 'utf8').catch(() => undefined);
  if (seen !== op.key)
    throw new PluginError({
      code: 'LOCAL_CI_NOT_HERE',
      message: 'The local CI builds on the machine that pipit runs on, and this slot names another place',
      hint: 'Take `on:` out of the ci slot, or use a CI plugin that builds elsewhere.',
      recovery: 'stop',
    });
};

/** The sandbox writes down which limit ended a build: an exit code alone does not say it. */
const whyExited = async (brokenLimit: string, exitCode: number): Promise<string> => {
  const limit = await readFile(brokenLimit, 'utf8').catch(() => '');
  return limit === '' ? `exited ${exitCode}` : `exited ${exitCode}; ${limit.trim()}`;
};

const resultOf = async (folder: string, record: BuildRecord, ended: Ended): Promise<BuildResult> => {
  const raw = `${ended.exitCode}`;
  if (ended.reason === 'stopped') return { outcome: 'cancelled', raw, reason: 'The build was cancelled' };
  const script = await readScriptInProgress(foldersOf(folder).progress);
  switch (ended.reason) {
    case 'timeLimit':
      return { outcome: 'failed', raw, reason: `${script} ran longer than ${formatDuration(record.timeLimitMs)}` };
    case 'outputLimit':
      return { outcome: 'failed', raw, reason: `${script} wrote more than ${formatBytes(record.maxOutputBytes)}` };
    case undefined:
      return ended.exitCode === 0
        ? { outcome: 'passed', raw, commit: record.commit }
        : { outcome: 'failed', raw, reason: `${script} ${await whyExited(foldersOf(folder).brokenLimit, ended.exitCode)}` };
    default:
      return assertNever(ended.reason);
  }
};

/**
 * Builds the exact commit on this machine: `script/cisetup`, then `script/cibuild`, in a sandbox, in one task that outlives pipit.
 * What `script/cibuild` leaves in `$PIPIT_OUTPUT` goes to the packager. The handle is the build's folder.
 *
 * Errors: `LOCAL_CI_NOT_HERE`, `LOCAL_CI_OUTPUT_REFUSED` (stop).
 */
export const createLocalCi = <Options>({
  sandbox,
  timeLimitMs,
  maxOutputBytes,
}: LocalCiOptions): Ci<Options> & Required<Pick<Ci<Options>, 'cancel' | 'readLog' | 'collect'>> => {
  const prepare = async (request: BuildRequest<Options>, op: Op<'shell' | 'source'>): Promise<BuildRecord> => {
    const folders = foldersOf(op.shell.folder);
    const { task: _task, brokenLimit: _brokenLimit, ...writable } = folders;
    // What a start that was killed left behind.
    for (const folder of Object.values(writable)) await removeFolder(folder);
    op.report({ message: `Checking out ${request.commit.sha}` });
    await op.source.checkOut(op.shell, BUILD_FOLDERS.source);
    for (const folder of Object.values(writable)) await mkdir(folder, { recursive: true, mode: 0o700 });
    const problem = await scriptProblem(folders.source);
    for (const folder of Object.values(writable)) await sandbox.giveFolder(folder);
    const record: BuildRecord = {
      key: op.key,
      commit: op.source.commit.sha,
      timeLimitMs,
      maxOutputBytes,
      ...(problem === undefined ? {} : { refused: problem }),
    };
    await writeBuildRecord(op.shell.folder, record);
    return record;
  };

  const isStarted = async (folder: string, record: BuildRecord): Promise<boolean> =>
    record.refused !== undefined || (await inspectDetached(foldersOf(folder).task)) !== undefined;

  const find: Ci<Options>['find'] = async (_request, op) => {
    const { folder } = op.shell;
    const record = await readBuildRecord(folder);
    return record?.key === op.key && (await isStarted(folder, record)) ? folder : undefined;
  };

  return {
    find,

    async start(request, op) {
      op.signal.throwIfAborted();
      const found = await find(request, op);
      if (found !== undefined) return found;
      await assertHere(op);
      const { folder } = op.shell;
      const record = await prepare(request, op);
      if (record.refused !== undefined) return folder;
      op.signal.throwIfAborted();
      const folders = foldersOf(folder);
      const command = sandbox.confine(scriptsCommand(folders.progress), {
        folder: folders.source,
        writable: [folders.output, folders.home, folders.temporary, folders.progress],
        report: folders.brokenLimit,
        env: {
          HOME: folders.home,
          // The sandbox's own /tmp is memory.
          TMPDIR: folders.temporary,
          CI: 'true',
          PIPIT_APP: request.app,
          PIPIT_COMMIT: record.commit,
          PIPIT_REF: request.ref,
          PIPIT_OUTPUT: folders.output,
        },
      });
      await startDetached({
        folder: folders.task,
        argv: command.argv,
        env: command.env,
        cwd: folders.source,
        timeLimitMs: record.timeLimitMs,
        maxOutputBytes: record.maxOutputBytes,
      });
      return folder;
    },

    async inspect({ handle }): Promise<TaskState<BuildResult>> {
      const record = isAbsolute(handle) ? await readBuildRecord(handle) : undefined;
      if (record === undefined) return { state: 'lost', reason: 'the folder of the build is gone' };
      if (record.refused !== undefined)
        return { state: 'ended', result: { outcome: 'failed', raw: 'not started', reason: record.refused } };
      const task = await inspectDetached(foldersOf(handle).task);
      switch (task?.state) {
        case undefined:
          return { state: 'lost', reason: 'the build was prepared, but never started' };
        case 'running':
          return { state: 'running' };
        case 'lost':
          return { state: 'lost', reason: task.reason };
        case 'ended':
          return { state: 'ended', result: await resultOf(handle, record, task) };
        default:
          return assertNever(task);
      }
    },

    cancel: async ({ handle }, op) => stopDetached(foldersOf(handle).task, { signal: op.signal }),

    readLog: async ({ handle }, after) => readDetachedLog(foldersOf(handle).task, after),

    collect: async ({ handle }, op) => collectOutputs(foldersOf(handle).output, op.files, op.signal),
  };
};
