import type { BuildRequest, BuildResult, Ci, Op, TaskState } from '@pipit/core';
import { adoptableBuild } from './adopt-build.js';
import { type BuildHandle, formatHandle, parseHandle } from './build-handle.js';
import { builtCommit, type WantedCommit } from './built-commit.js';
import { readCancelMark, writeCancelMark } from './cancel-mark.js';
import { collectOutputs } from './collect-outputs.js';
import type { JenkinsOptions, ParameterNames } from './config.js';
import type { Build } from './jenkins-answers.js';
import type { JenkinsClient } from './jenkins-client.js';
import { jobNotFound, readJob } from './job-parameters.js';
import { type JobPath, jobAddress, jobPathOf, shownJob } from './job-path.js';
import { type Located, locateBuild, readBuild, readBuilds } from './locate-build.js';
import { mapBuildResult } from './map-build-result.js';
import { readBuildLog } from './read-build-log.js';
import { startBuild } from './start-build.js';

export interface JenkinsCiOptions {
  readonly client: JenkinsClient;
  readonly names: ParameterNames;
  /** Jenkins' address, with a closing slash: for what a person clicks on. */
  readonly url: string;
}

type Request = BuildRequest<JenkinsOptions>;
type State = TaskState<BuildResult>;

/** Whether a person's retry raised the key's last part. */
const isRetry = (key: string): boolean => Number(/:(\d+)$/.exec(key)?.[1] ?? 1) > 1;

/** What an aborted build counts as when it was pipit that aborted it. */
const CANCELLED: State = {
  state: 'ended',
  result: { outcome: 'cancelled', raw: 'CANCELLED', reason: 'The build was cancelled before it began' },
};

/**
 * Builds on Jenkins. A build carries the run's key as a parameter, which is how it is found again; with `start: adopt` it is found by its commit.
 *
 * Errors: see {@link startBuild} and {@link collectOutputs}.
 */
export const createJenkinsCi = ({
  client,
  names,
  url,
}: JenkinsCiOptions): Ci<JenkinsOptions> & Required<Pick<Ci<JenkinsOptions>, 'cancel' | 'readLog' | 'collect'>> => {
  const wantedCommit = ({ commit, options }: Request): WantedCommit => ({
    commit: commit.sha,
    remote: options.remote ?? commit.repository.url,
    parameter: names.commit,
  });

  const locate = async (handle: BuildHandle, request: Request, signal: AbortSignal, patient = true): Promise<Located> => {
    const { job, key, adopt } = handle;
    if (key !== undefined)
      return locateBuild(client, { job, key, parameter: names.key, queue: handle.queue, build: handle.build }, signal, patient);
    const wanted = wantedCommit(request);
    const known = handle.build === undefined ? undefined : await readBuild(client, job, handle.build, signal);
    if (known !== undefined || handle.build !== undefined || adopt === undefined)
      return known === undefined ? { at: 'nowhere' } : { at: 'build', build: known };
    const withinMs = request.options.adoptWithin;
    const build = adoptableBuild((await readBuilds(client, job, signal)) ?? [], wanted, { ...adopt, withinMs });
    return build === undefined ? { at: 'nowhere' } : { at: 'build', build };
  };

  const stateOfBuild = async (build: Build, handle: BuildHandle, request: Request, op: Op<'shell'>): Promise<State> => {
    const shown = `Build ${build.number} of ${shownJob(handle.job)}`;
    // `build.url` is what Jenkins believes its address to be, which nobody may have told it.
    const at = { url: `${url}${jobAddress(handle.job)}${build.number}/` };
    if (build.building)
      return {
        ...at,
        state: 'running',
        ...(handle.build === build.number ? {} : { handle: formatHandle({ ...handle, build: build.number }) }),
      };
    if (build.result === undefined || build.result === null)
      return { ...at, state: 'lost', reason: `${shown} has no result: Jenkins ended in the middle of it` };
    const built = await commitThatCounts(build, handle.job, request, op.signal);
    const result = mapBuildResult(build.result, shown, built, request.options);
    // Jenkins calls a build that was stopped early, or whose script caught the stop, FAILURE.
    if (result.outcome !== 'passed' && (await readCancelMark(op)))
      return { ...at, state: 'ended', result: { outcome: 'cancelled', raw: result.raw, reason: `${shown} was stopped by pipit` } };
    return { ...at, state: 'ended', result };
  };

  /** The parameter counts only where the job has no SCM: with one, git's record has to be there. */
  const commitThatCounts = async (build: Build, job: JobPath, request: Request, signal: AbortSignal) => {
    const built = builtCommit(build, wantedCommit(request));
    if (build.actions.some((action) => action?.lastBuiltRevision)) return built;
    const scm = (await readJob(client, job, signal))?.scm?._class;
    return scm === undefined || scm === 'hudson.scm.NullSCM'
      ? built
      : { unknown: `its job has an SCM (${scm}), but the build has no lastBuiltRevision` };
  };

  const stateOfWaiting = (handle: BuildHandle, { options, commit }: Request, op: Op<'shell'>): State => {
    const { job, adopt } = handle;
    const shown = shownJob(job);
    if (adopt === undefined || handle.build !== undefined)
      return {
        state: 'lost',
        reason:
          handle.build === undefined
            ? `neither the queue nor the builds of ${shown} show it: it was cancelled in the queue, or Jenkins lost its queue`
            : `Jenkins no longer has build ${handle.build} of ${shown}: it ended in the middle of it, or the build was deleted`,
      };
    if (op.clock.now().getTime() <= adopt.since + options.adoptWithin) {
      op.report({ message: `Waiting for a build of ${shown} that names ${commit.sha}` });
      return { state: 'running', url: `${url}${jobAddress(job)}` };
    }
    const seconds = Math.round(options.adoptWithin / 1_000);
    const reason = `No build of ${shown} named ${commit.sha} within ${seconds} s: look whether the job's own hook works, or say \`start: trigger\``;
    return { state: 'ended', result: { outcome: 'failed', raw: 'NOT_FOUND', reason } };
  };

  const jobOf = ({ options, app, ref }: Request): JobPath => jobPathOf(options, app, ref);

  const find = async (request: Request, op: Op): Promise<string | undefined> => {
    const job = jobOf(request);
    if (request.options.start === 'trigger') {
      const located = await locateBuild(client, { job, key: op.key, parameter: names.key }, op.signal, false);
      const at = located.at === 'build' ? { build: located.build.number } : located.at === 'queue' ? { queue: located.item.id } : undefined;
      return at === undefined ? undefined : formatHandle({ job: [...job], key: op.key, ...at });
    }
    const adopt = { since: op.clock.now().getTime(), again: isRetry(op.key) };
    const located = await locate({ job: [...job], adopt }, request, op.signal);
    return located.at === 'build' ? formatHandle({ job: [...job], adopt, build: located.build.number }) : undefined;
  };

  return {
    find,

    async start(request, op) {
      op.signal.throwIfAborted();
      const found = await find(request, op);
      if (found !== undefined) return found;
      const job = jobOf(request);
      if (request.options.start === 'trigger') {
        const at = await startBuild({ client, names, job, request, op });
        return formatHandle({ job: [...job], key: op.key, ...at });
      }
      if ((await readJob(client, job, op.signal)) === undefined && !request.options.multibranch) throw jobNotFound(job, false);
      return formatHandle({ job: [...job], adopt: { since: op.clock.now().getTime(), again: isRetry(op.key) } });
    },

    async inspect({ handle: text, request }, op) {
      const handle = parseHandle(text);
      if (handle === undefined) return { state: 'lost', reason: 'the handle is none of the Jenkins plugin' };
      const located = await locate(handle, request, op.signal);
      switch (located.at) {
        case 'build':
          return stateOfBuild(located.build, handle, request, op);
        case 'queue': {
          if (located.item.cancelled === true) return CANCELLED;
          op.report({ message: `In Jenkins' queue: ${located.item.why ?? 'about to begin'}` });
          const better = handle.queue === located.item.id ? {} : { handle: formatHandle({ ...handle, queue: located.item.id }) };
          return { state: 'running', url: `${url}${jobAddress(handle.job)}`, ...better };
        }
        default:
          // Old servers forget what was cancelled in the queue, and an adopted build may never come.
          return handle.build === undefined && (await readCancelMark(op)) ? CANCELLED : stateOfWaiting(handle, request, op);
      }
    },

    async cancel({ handle: text, request }, op) {
      const handle = parseHandle(text);
      if (handle === undefined) return;
      const stop = (number: number) => client.post(`${jobAddress(handle.job)}${number}/stop`, undefined, op.signal);
      const located = await locate(handle, request, op.signal, false);
      // What ended before stays what it was.
      if (located.at === 'build' && !located.build.building) return;
      await writeCancelMark(op);
      if (located.at === 'build') await stop(located.build.number);
      if (located.at !== 'queue') return;
      await client.post(`queue/cancelItem?id=${located.item.id}`, undefined, op.signal);
      // It may have left the queue in between.
      const after = await locate(handle, request, op.signal);
      if (after.at === 'build' && after.build.building) await stop(after.build.number);
    },

    async readLog({ handle: text, request }, after, op) {
      const handle = parseHandle(text);
      const located = handle === undefined ? undefined : await locate(handle, request, op.signal, false);
      if (handle === undefined || located?.at !== 'build') return { text: '', cursor: after ?? '0' };
      return readBuildLog(client, { job: handle.job, number: located.build.number }, after, op.signal);
    },

    async collect({ handle: text, request }, op) {
      const handle = parseHandle(text);
      const located = handle === undefined ? undefined : await locate(handle, request, op.signal);
      const job = handle?.job ?? jobOf(request);
      const number = located?.at === 'build' ? located.build.number : (handle?.build ?? 0);
      return collectOutputs({ client, job, number, folder: request.options.outputs, files: op.files, signal: op.signal });
    },
  };
};
