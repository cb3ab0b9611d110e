import { type BuildRequest, type Op, PluginError } from '@pipit/core';
import type { JenkinsOptions, ParameterNames } from './config.js';
import type { JenkinsClient } from './jenkins-client.js';
import {
  jobDisabled,
  jobNotFound,
  missingParameters,
  parametersMissing,
  parametersOf,
  readJob,
  requiredParameters,
} from './job-parameters.js';
import { branchName, type JobPath, jobAddress, shownJob } from './job-path.js';
import { locateBuild } from './locate-build.js';

export interface StartOptions {
  readonly client: JenkinsClient;
  readonly names: ParameterNames;
  readonly job: JobPath;
  readonly request: BuildRequest<JenkinsOptions>;
  readonly op: Op<'callbackUrl'>;
}

const QUEUE_ADDRESS = /\/queue\/item\/(\d+)\/?$/;

const unconfirmed = (job: JobPath, status: number): PluginError =>
  new PluginError({
    code: 'JENKINS_START_UNCONFIRMED',
    message: `Jenkins answered ${status} to the start of ${shownJob(job)}, and neither its queue nor its builds show it`,
    hint: 'Look at the job in Jenkins: whether a plugin refuses its builds, or a login page answers in place of Jenkins.',
    recovery: 'reconcile',
  });

/**
 * Puts the build into the queue, after looking whether the job will take it: old servers drop the build of a disabled job, and all drop
 * parameters that a job does not have, without a word.
 *
 * Errors: `JENKINS_JOB_NOT_FOUND`, `JENKINS_JOB_DISABLED`, `JENKINS_PARAMETERS_MISSING` (stop), `JENKINS_START_UNCONFIRMED` (reconcile).
 *
 * @returns the number of its item in the queue, or of its build
 */
export const startBuild = async ({ client, names, job, request, op }: StartOptions): Promise<{ queue?: number; build?: number }> => {
  const { multibranch, values } = request.options;
  const found = await readJob(client, job, op.signal);
  if (found === undefined) throw jobNotFound(job, multibranch);
  if (found.buildable !== true) throw jobDisabled(job);
  const missing = missingParameters(found, requiredParameters(names, values));
  if (missing.length > 0) throw parametersMissing(job, missing);
  const there = new Set(parametersOf(found));
  const optional = {
    [names.branch]: branchName(request.ref),
    [names.repository]: request.commit.repository.url,
    [names.callback]: op.callbackUrl,
  };
  const form = new URLSearchParams({
    ...Object.fromEntries(Object.entries(optional).filter(([name]) => there.has(name))),
    ...values,
    [names.key]: op.key,
    [names.commit]: request.commit.sha,
  });
  op.signal.throwIfAborted();
  const answer = await client.post(`${jobAddress(job)}buildWithParameters?delay=0sec`, form, op.signal);
  if (answer.status === 404) throw jobNotFound(job, multibranch);
  // Newer servers say so where older ones are silent.
  if (answer.status === 409) throw jobDisabled(job);
  if (answer.status === 400) throw parametersMissing(job, requiredParameters(names, values));
  const item = QUEUE_ADDRESS.exec(answer.headers.get('location') ?? '')?.[1];
  if (answer.status === 201 && item !== undefined) return { queue: Number(item) };
  const located = await locateBuild(client, { job, key: op.key, parameter: names.key }, op.signal, true);
  switch (located.at) {
    case 'queue':
      return { queue: located.item.id };
    case 'build':
      return { build: located.build.number };
    default:
      throw unconfirmed(job, answer.status);
  }
};
