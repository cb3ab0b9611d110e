import { type HealthFinding, isPluginError } from '@pipit/core';
import { z } from 'zod';
import type { JenkinsConfig } from './config.js';
import type { JenkinsClient } from './jenkins-client.js';
import { jobDisabled, jobNotFound, missingParameters, parametersMissing, readJob, requiredParameters } from './job-parameters.js';
import { type JobPath, parseJobName } from './job-path.js';

const root = z.object({ quietingDown: z.boolean().optional() });
const executors = z.object({ busyExecutors: z.int(), totalExecutors: z.int() });

const failed = (name: string, thrown: unknown): HealthFinding => {
  if (!isPluginError(thrown)) throw thrown;
  return { name, ok: false, detail: `${thrown.message} [${thrown.code}]`, ...(thrown.hint === undefined ? {} : { hint: thrown.hint }) };
};

const checkServer = async (client: JenkinsClient, { url, user }: JenkinsConfig, signal: AbortSignal): Promise<readonly HealthFinding[]> => {
  const name = 'Jenkins';
  try {
    const { headers } = await client.get('api/json?tree=quietingDown', signal);
    const version = headers.get('x-jenkins');
    if (version === null)
      return [{ name, ok: false, detail: `${url} is no Jenkins: it sends no header X-Jenkins`, hint: 'Correct `url`.' }];
    const quieting = (await client.read('', 'quietingDown', root, signal))?.quietingDown === true;
    const pool = await client.read('computer/', 'busyExecutors,totalExecutors', executors, signal);
    return [
      quieting
        ? {
            name,
            ok: false,
            detail: `Jenkins ${version} is about to shut down and starts no builds`,
            hint: 'Cancel the shutdown in Jenkins.',
          }
        : { name, ok: true, detail: `Jenkins ${version} at ${url}, as ${user}` },
      pool?.totalExecutors === 0
        ? { name: 'executors', ok: false, detail: 'there are none, so each build waits', hint: 'Bring an agent online in Jenkins.' }
        : {
            name: 'executors',
            ok: true,
            detail: pool === undefined ? 'not shown' : `${pool.busyExecutors} of ${pool.totalExecutors} busy`,
          },
    ];
  } catch (thrown) {
    return [failed(name, thrown)];
  }
};

const checkJob = async (client: JenkinsClient, path: JobPath, config: JenkinsConfig, signal: AbortSignal): Promise<HealthFinding> => {
  const name = `job ${path.join('/')}`;
  try {
    const job = await readJob(client, path, signal);
    if (job === undefined) return failed(name, jobNotFound(path, false));
    if (job.buildable !== true) return failed(name, jobDisabled(path));
    const missing = missingParameters(job, requiredParameters(config.parameters, {}));
    return missing.length > 0
      ? failed(name, parametersMissing(path, missing))
      : { name, ok: true, detail: 'is there, with its parameters' };
  } catch (thrown) {
    return failed(name, thrown);
  }
};

/** What `pipit doctor` shows of an instance. */
export const checkHealth = async (client: JenkinsClient, config: JenkinsConfig, signal: AbortSignal): Promise<readonly HealthFinding[]> => {
  const server = await checkServer(client, config, signal);
  const callback: HealthFinding = {
    name: 'callback',
    ok: true,
    detail: config.callbackSecret === undefined ? 'off: builds are polled only' : 'taken when it brings the secret',
  };
  if (server.some(({ name, ok }) => name === 'Jenkins' && !ok)) return [...server, callback];
  const jobs: HealthFinding[] = [];
  for (const text of config.jobs) jobs.push(await checkJob(client, parseJobName(text) ?? [], config, signal));
  return [...server, callback, ...jobs];
};
