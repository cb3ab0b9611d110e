import { type BuildRequest, type BuildResult, type Ci, type Handle, PluginError, parseCommitSha, type TaskState } from '@pipit/core';

/** Jenkins: a queue item becomes a build; the run's key travels as a parameter. */
interface JenkinsBuild {
  readonly number: number;
  readonly url: string;
  readonly building: boolean;
  readonly result: 'SUCCESS' | 'UNSTABLE' | 'FAILURE' | 'ABORTED' | 'NOT_BUILT' | null;
  readonly actions: readonly {
    readonly parameters?: readonly { readonly name: string; readonly value: string }[];
    readonly lastBuiltRevision?: { readonly SHA1: string };
  }[];
  readonly artifacts: readonly { readonly relativePath: string }[];
}
interface JenkinsQueueItem {
  readonly id: number;
  readonly why: string | null;
  readonly cancelled?: boolean;
  readonly executable?: { readonly number: number };
  readonly actions: JenkinsBuild['actions'];
}
interface JenkinsClient {
  /** POST /job/{name}/buildWithParameters: 201 with a Location of the queue item (before 1.519: 302 to the job). */
  buildWithParameters(
    job: string,
    parameters: Readonly<Record<string, string>>,
    options: { signal: AbortSignal },
  ): Promise<{ queueItem?: number }>;
  getQueue(options: { signal: AbortSignal }): Promise<{ readonly items: readonly JenkinsQueueItem[] }>;
  getQueueItem(id: number, options: { signal: AbortSignal }): Promise<JenkinsQueueItem | undefined>;
  /** GET /job/{name}/api/json?tree=builds[...] */
  getBuilds(job: string, options: { signal: AbortSignal }): Promise<readonly JenkinsBuild[]>;
  getBuild(job: string, number: number, options: { signal: AbortSignal }): Promise<JenkinsBuild | undefined>;
  stopBuild(job: string, number: number, options: { signal: AbortSignal }): Promise<void>;
  cancelQueueItem(id: number, options: { signal: AbortSignal }): Promise<void>;
  /** GET /job/{name}/{n}/logText/progressiveText?start=: X-Text-Size is the next start. */
  progressiveText(
    job: string,
    number: number,
    start: number,
    options: { signal: AbortSignal },
  ): Promise<{ readonly text: string; readonly size: number }>;
  downloadArtifact(job: string, number: number, path: string, options: { signal: AbortSignal }): AsyncIterable<Uint8Array>;
}
interface JenkinsOptions {
  readonly job: string;
}

const KEY_PARAMETER = 'PIPIT_KEY';
/** `queue/12`, `build/7`, or `key` as long as an old server tells neither. */
const handleOf = (place: 'queue' | 'build', id: number): Handle => `${place}/${id}`;
const parameterOf = (actions: JenkinsBuild['actions'], name: string): string | undefined =>
  actions.flatMap((action) => action.parameters ?? []).find((parameter) => parameter.name === name)?.value;

const resultOf = (build: JenkinsBuild): BuildResult => {
  const raw = build.result ?? 'none';
  const commit = build.actions.find((action) => action.lastBuiltRevision !== undefined)?.lastBuiltRevision?.SHA1;
  if (build.result === 'ABORTED') return { outcome: 'cancelled', reason: 'Somebody aborted the build in Jenkins', raw };
  if (build.result !== 'SUCCESS') return { outcome: 'failed', reason: `Jenkins says ${raw}`, raw };
  if (commit === undefined) return { outcome: 'failed', reason: 'Jenkins does not say which commit it built', raw };
  return { outcome: 'passed', commit: parseCommitSha(commit), raw };
};

export const createJenkinsCi = (client: JenkinsClient): Ci<JenkinsOptions> => {
  const findByKey = async (job: string, key: string, signal: AbortSignal): Promise<Handle | undefined> => {
    const build = (await client.getBuilds(job, { signal })).find(({ actions }) => parameterOf(actions, KEY_PARAMETER) === key);
    if (build !== undefined) return handleOf('build', build.number);
    const item = (await client.getQueue({ signal })).items.find(({ actions }) => parameterOf(actions, KEY_PARAMETER) === key);
    return item === undefined ? undefined : handleOf('queue', item.id);
  };
  const buildNumber = (handle: Handle): number | undefined =>
    handle.startsWith('build/') ? Number(handle.slice('build/'.length)) : undefined;
  return {
    find: ({ options }, { key, signal }) => findByKey(options.job, key, signal),
    start: async ({ options, commit, ref }, { key, signal, callbackUrl }) => {
      const { queueItem } = await client.buildWithParameters(
        options.job,
        { [KEY_PARAMETER]: key, PIPIT_COMMIT: commit.sha, PIPIT_REF: ref, PIPIT_CALLBACK: callbackUrl },
        { signal },
      );
      return queueItem === undefined ? 'key' : handleOf('queue', queueItem);
    },
    inspect: async ({ handle, request: { options } }, { key, signal }): Promise<TaskState<BuildResult>> => {
      const number = buildNumber(handle);
      if (number === undefined) {
        const item = handle === 'key' ? undefined : await client.getQueueItem(Number(handle.slice('queue/'.length)), { signal });
        if (item?.cancelled === true)
          return { state: 'ended', result: { outcome: 'cancelled', reason: 'The queue item was cancelled', raw: 'CANCELLED' } };
        if (item?.executable !== undefined) return { state: 'running', handle: handleOf('build', item.executable.number) };
        const better = await findByKey(options.job, key, signal);
        return better === undefined
          ? { state: 'lost', reason: 'Jenkins has neither a queue item nor a build of this key' }
          : { state: 'running', handle: better };
      }
      const build = await client.getBuild(options.job, number, { signal });
      if (build === undefined) return { state: 'lost', reason: `Jenkins has discarded build ${number}` };
      return build.building ? { state: 'running', url: build.url } : { state: 'ended', result: resultOf(build), url: build.url };
    },
    cancel: async ({ handle, request: { options } }, { signal }) => {
      const number = buildNumber(handle);
      if (number === undefined) await client.cancelQueueItem(Number(handle.slice('queue/'.length)), { signal });
      else await client.stopBuild(options.job, number, { signal });
    },
    readLog: async ({ handle, request: { options } }, after, { signal }) => {
      const number = buildNumber(handle);
      if (number === undefined) return { text: '', cursor: after ?? '0' };
      const { text, size } = await client.progressiveText(options.job, number, Number(after ?? 0), { signal });
      return { text, cursor: String(size) };
    },
    collect: async ({ handle, request: { options } }, { signal, files }) => {
      const number = buildNumber(handle) ?? 0;
      const build = await client.getBuild(options.job, number, { signal });
      const paths = build?.artifacts.map((artifact) => artifact.relativePath) ?? [];
      return Promise.all(
        paths.map(async (path) => ({ path, file: await files.put(client.downloadArtifact(options.job, number, path, { signal })) })),
      );
    },
  };
};

/** GitHub Actions: a dispatch answers 204 without an id; the run is found by its name, which carries the key. */
interface WorkflowRun {
  readonly id: number;
  readonly html_url: string;
  readonly head_sha: string;
  readonly display_title: string;
  readonly status: 'queued' | 'in_progress' | 'completed' | 'waiting';
  readonly conclusion: 'success' | 'failure' | 'cancelled' | 'timed_out' | 'skipped' | 'neutral' | 'action_required' | null;
}
interface ActionsClient {
  createWorkflowDispatch(options: {
    owner: string;
    repo: string;
    workflow_id: string;
    ref: string;
    inputs: Record<string, string>;
    request: { signal: AbortSignal };
  }): Promise<void>;
  listWorkflowRuns(options: {
    owner: string;
    repo: string;
    workflow_id: string;
    event: 'workflow_dispatch';
    head_sha: string;
    request: { signal: AbortSignal };
  }): Promise<{ data: { workflow_runs: readonly WorkflowRun[] } }>;
  cancelWorkflowRun(options: { owner: string; repo: string; run_id: number; request: { signal: AbortSignal } }): Promise<void>;
}
interface ActionsOptions {
  readonly workflow: string;
}

/** A dispatched run shows in the list after some seconds. */
const VISIBLE_WITHIN_MS = 60_000;

export const createGitHubActionsCi = (client: ActionsClient): Ci<ActionsOptions> => {
  const placeOf = ({ commit, options }: BuildRequest<ActionsOptions>) => {
    const [owner = '', repo = ''] = commit.repository.name.split('/');
    return { owner, repo, workflow_id: options.workflow };
  };
  const findRun = async (request: BuildRequest<ActionsOptions>, key: string, signal: AbortSignal): Promise<WorkflowRun | undefined> => {
    const { data } = await client.listWorkflowRuns({
      ...placeOf(request),
      event: 'workflow_dispatch',
      head_sha: request.commit.sha,
      request: { signal },
    });
    return data.workflow_runs.find((run) => run.display_title.includes(key));
  };
  return {
    find: async (request, { key, signal, clock }) =>
      (await findRun(request, key, signal)) === undefined ? undefined : clock.now().toISOString(),
    start: async (request, { key, signal, clock }) => {
      // It takes a ref and not a commit, so the workflow gets the commit as an input and the run's head is compared below.
      await client.createWorkflowDispatch({
        ...placeOf(request),
        ref: request.ref,
        inputs: { key, commit: request.commit.sha },
        request: { signal },
      });
      return clock.now().toISOString();
    },
    inspect: async ({ handle, request }, { key, signal, clock }) => {
      const run = await findRun(request, key, signal);
      if (run === undefined)
        return clock.now().getTime() - Date.parse(handle) < VISIBLE_WITHIN_MS
          ? { state: 'running' }
          : { state: 'lost', reason: 'GitHub shows no run of this key' };
      if (run.status !== 'completed') return { state: 'running', url: run.html_url };
      const raw = run.conclusion ?? 'none';
      if (run.conclusion === 'success')
        return { state: 'ended', url: run.html_url, result: { outcome: 'passed', commit: parseCommitSha(run.head_sha), raw } };
      const outcome = run.conclusion === 'cancelled' ? 'cancelled' : 'failed';
      return { state: 'ended', url: run.html_url, result: { outcome, reason: `GitHub Actions says ${raw}`, raw } };
    },
    cancel: async ({ request }, { key, signal }) => {
      const run = await findRun(request, key, signal);
      if (run === undefined)
        throw new PluginError({ code: 'ACTIONS_RUN_NOT_VISIBLE', message: 'GitHub does not show the run yet', recovery: 'retry' });
      const { owner, repo } = placeOf(request);
      await client.cancelWorkflowRun({ owner, repo, run_id: run.id, request: { signal } });
    },
  };
};
