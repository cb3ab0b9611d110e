import { PluginError } from '@pipit/core';
import type { ParameterNames } from './config.js';
import { JOB_TREE, type Job, job as jobSchema } from './jenkins-answers.js';
import type { JenkinsClient } from './jenkins-client.js';
import { type JobPath, jobAddress, shownJob } from './job-path.js';

export const parametersOf = ({ property = [] }: Job): readonly string[] =>
  property.flatMap((each) => each?.parameterDefinitions ?? []).map(({ name }) => name);

/** Those without which a build cannot be found again, or would build something else. */
export const requiredParameters = ({ key, commit }: ParameterNames, values: Readonly<Record<string, string>>): readonly string[] => [
  key,
  commit,
  ...Object.keys(values),
];

export const missingParameters = (job: Job, required: readonly string[]): readonly string[] => {
  const there = new Set(parametersOf(job));
  return required.filter((name) => !there.has(name));
};

/** What to put into the job, for both ways of writing one. */
export const linesToPaste = (missing: readonly string[]): string =>
  [
    'In a Jenkinsfile:',
    '  parameters {',
    ...missing.map((name) => `    string(name: '${name}', defaultValue: '')`),
    '  }',
    "In the job's config.xml, within <parameterDefinitions>:",
    ...missing.map(
      (name) =>
        `  <hudson.model.StringParameterDefinition><name>${name}</name><defaultValue></defaultValue></hudson.model.StringParameterDefinition>`,
    ),
  ].join('\n');

export const jobNotFound = (path: JobPath, multibranch: boolean): PluginError =>
  new PluginError({
    code: 'JENKINS_JOB_NOT_FOUND',
    message: `Jenkins has no job ${shownJob(path)}, or the account may not see it`,
    hint: multibranch
      ? 'Jenkins makes the job of a branch when it scans the project: look at its scan log, and that the account may read the job.'
      : 'Correct `job` in the ci slot, or give the account the rights Job/Read and Job/Build.',
    // A branch's job appears by itself, soon after the push.
    recovery: multibranch ? 'retry' : 'stop',
  });

export const jobDisabled = (path: JobPath): PluginError =>
  new PluginError({
    code: 'JENKINS_JOB_DISABLED',
    message: `The job ${shownJob(path)} is disabled or cannot be built`,
    hint: 'Enable it in Jenkins; if it is a folder or a multibranch project, name the job inside or say `multibranch: true`.',
    recovery: 'stop',
  });

export const parametersMissing = (path: JobPath, missing: readonly string[]): PluginError =>
  new PluginError({
    code: 'JENKINS_PARAMETERS_MISSING',
    message: `The job ${shownJob(path)} has no parameter ${missing.join(', ')}: Jenkins would drop what pipit sends, silently`,
    hint: linesToPaste(missing),
    recovery: 'stop',
  });

export const readJob = (client: JenkinsClient, path: JobPath, signal: AbortSignal): Promise<Job | undefined> =>
  client.read(jobAddress(path), JOB_TREE, jobSchema, signal);
