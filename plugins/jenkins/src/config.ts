import { createSecret } from '@pipit/core';
import { z } from 'zod';
import { APP_PLACEHOLDER, parseJobName } from './job-path.js';

/** Source: FIPS 198-1 wants a key of the hash's strength; 16 characters are the least that nobody guesses. */
const MIN_SECRET_LENGTH = 16;

const callbackSecret = () => z.string().min(MIN_SECRET_LENGTH, `expected at least ${MIN_SECRET_LENGTH} characters`).transform(createSecret);

/** Source: Jenkins takes any name, but a job's script gets the parameter as an environment variable. */
const parameterName = () => z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected a name such as PIPIT_COMMIT');

const jobName = () =>
  z
    .string()
    .max(500)
    .refine((text) => parseJobName(text) !== undefined, 'expected a job such as shop-build, folder/shop or folder/job/shop');

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** A text such as `10m`, in milliseconds. */
const duration = () =>
  z
    .string()
    .regex(/^[1-9]\d{0,5}[smh]$/, 'expected a duration such as 30s, 10m or 2h')
    .transform((text) => Number(text.slice(0, -1)) * UNIT_MS[text.slice(-1) as keyof typeof UNIT_MS]); // the pattern has just proved the unit

/** What stands under `with:` of the instance: one account on one Jenkins. */
export const config = z
  .strictObject({
    url: z
      .url({ protocol: /^https?$/ })
      .transform((text) => (text.endsWith('/') ? text : `${text}/`))
      .describe('Where Jenkins answers, for example https://ci.example.org/ or https://example.org/jenkins/.'),
    user: z
      .string()
      .regex(/^[^:\p{Cc}]+$/u, 'expected a user name, without a colon')
      .describe('The account that starts builds.'),
    token: z.string().min(1).transform(createSecret).optional().describe("The account's API token; give it as $env or $file."),
    password: z
      .string()
      .min(1)
      .transform(createSecret)
      .optional()
      .describe("The account's password, where it can have no token. Crumbs are then fetched by themselves."),
    callbackSecret: callbackSecret()
      .optional()
      .describe('What a callback has to bring along. At least 16 characters, as $env or $file. Without it builds are only polled.'),
    previousCallbackSecret: callbackSecret()
      .optional()
      .describe('Also valid while `callbackSecret` is being replaced. Take it out afterwards.'),
    parameters: z
      .strictObject({
        key: parameterName().default('PIPIT_KEY').describe("Carries the run's key, by which a build is found again."),
        commit: parameterName().default('PIPIT_COMMIT').describe('Carries the commit to build.'),
        branch: parameterName().default('PIPIT_BRANCH').describe('Carries the branch; sent to jobs that have the parameter.'),
        repository: parameterName()
          .default('PIPIT_REPOSITORY')
          .describe("Carries the repository's URL; sent to jobs that have the parameter."),
        callback: parameterName()
          .default('PIPIT_CALLBACK')
          .describe('Carries the address for callbacks; sent to jobs that have the parameter.'),
      })
      .prefault({})
      .describe("Names of the jobs' parameters."),
    jobs: z
      .array(jobName())
      .default([])
      .describe('Jobs that `pipit doctor` looks at: that they are there, enabled, and have the parameters.'),
  })
  .refine(({ token, password }) => (token === undefined) !== (password === undefined), {
    message: 'expected `token` or `password`, one of them',
    path: ['token'],
  });

/** What stands under `with:` of a pipeline's `ci:` slot. */
export const options = z.strictObject({
  job: jobName().describe(`The job, with its folders: shop-build, a/b or a/job/b. ${APP_PLACEHOLDER} stands for the name of the app.`),
  multibranch: z.boolean().default(false).describe('`job` is a multibranch project: its job of the branch is taken.'),
  start: z
    .enum(['trigger', 'adopt'])
    .default('trigger')
    .describe("`trigger`: pipit starts the build. `adopt`: pipit takes the build that the job's own hook began for the commit."),
  adoptWithin: duration().prefault('10m').describe('How long `adopt` waits for that build.'),
  values: z.record(parameterName(), z.string()).default({}).describe('More parameters for the build, with fixed values.'),
  outputs: z
    .string()
    .regex(/^[^/\p{Cc}](?:[^\p{Cc}]*[^/\p{Cc}])?$/u, 'expected a folder such as pipit-output')
    .refine((text) => !text.split('/').includes('..'), 'expected a folder without ..')
    .default('pipit-output')
    .describe("The folder among the build's artifacts that is laid out as the package's root. Other artifacts are left alone."),
  remote: z
    .string()
    .min(1)
    .optional()
    .describe("The URL by which the job knows the repository, where it differs from the trigger's (a mirror)."),
  unstable: z.enum(['failed', 'passed']).default('failed').describe('What a build that ended UNSTABLE counts as.'),
  aborted: z.enum(['cancelled', 'failed']).default('cancelled').describe('What a build that ended ABORTED counts as.'),
});

export type JenkinsConfig = z.output<typeof config>;
export type JenkinsOptions = z.output<typeof options>;
export type ParameterNames = JenkinsConfig['parameters'];
