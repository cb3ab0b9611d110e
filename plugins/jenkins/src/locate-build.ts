import { setTimeout as delay } from 'node:timers/promises';
import {
  BUILD_TREE,
  type Build,
  buildList,
  build as buildSchema,
  parameterOf,
  QUEUE_TREE,
  type QueueItem,
  queue,
  queueItem,
} from './jenkins-answers.js';
import type { JenkinsClient } from './jenkins-client.js';
import { type JobPath, jobAddress } from './job-path.js';

/** Where a build stands now. */
export type Located =
  | { readonly at: 'build'; readonly build: Build }
  | { readonly at: 'queue'; readonly item: QueueItem }
  | { readonly at: 'nowhere' };

/** Between leaving the queue and being a build, a build is in neither list for a moment. */
const LOOK_AGAIN_MS = 150;
const LOOKS = 4;

export interface Wanted {
  readonly job: JobPath;
  readonly key: string;
  /** The parameter that carries the key. */
  readonly parameter: string;
  /** What was known before. */
  readonly queue?: number | undefined;
  readonly build?: number | undefined;
}

export const readBuild = (client: JenkinsClient, job: JobPath, number: number, signal: AbortSignal): Promise<Build | undefined> =>
  client.read(`${jobAddress(job)}${number}/`, BUILD_TREE, buildSchema, signal);

/** The newest 100, the newest first: what Jenkins lists. Undefined when there is no such job. */
export const readBuilds = async (client: JenkinsClient, job: JobPath, signal: AbortSignal): Promise<readonly Build[] | undefined> =>
  (await client.read(jobAddress(job), `builds[${BUILD_TREE}]`, buildList, signal))?.builds;

const readQueue = async (client: JenkinsClient, signal: AbortSignal): Promise<readonly QueueItem[]> =>
  (await client.read('queue/', `items[${QUEUE_TREE}]`, queue, signal))?.items ?? [];

const lookOnce = async (client: JenkinsClient, wanted: Wanted, signal: AbortSignal): Promise<Located> => {
  const isOurs = (each: Pick<QueueItem, 'actions'>): boolean => parameterOf(each, wanted.parameter) === wanted.key;
  // The number alone does not name a build: a job that was made anew counts from 1 again.
  const known = wanted.build === undefined ? undefined : await readBuild(client, wanted.job, wanted.build, signal);
  if (known !== undefined && isOurs(known)) return { at: 'build', build: known };
  const told = wanted.queue === undefined ? undefined : await client.read(`queue/item/${wanted.queue}/`, QUEUE_TREE, queueItem, signal);
  if (told !== undefined && isOurs(told)) {
    const became = told.executable ? await readBuild(client, wanted.job, told.executable.number, signal) : undefined;
    if (became !== undefined && isOurs(became)) return { at: 'build', build: became };
    return { at: 'queue', item: told };
  }
  const item = (await readQueue(client, signal)).find(isOurs);
  if (item !== undefined) return { at: 'queue', item };
  const build = (await readBuilds(client, wanted.job, signal))?.find(isOurs);
  return build === undefined ? { at: 'nowhere' } : { at: 'build', build };
};

/** Finds a build by its key. `patient`: it should be there, so it is looked for some more times before it counts as gone. */
export const locateBuild = async (client: JenkinsClient, wanted: Wanted, signal: AbortSignal, patient: boolean): Promise<Located> => {
  for (let look = 1; ; look += 1) {
    const located = await lookOnce(client, wanted, signal);
    if (located.at !== 'nowhere' || !patient || look === LOOKS) return located;
    await delay(LOOK_AGAIN_MS, undefined, { signal });
  }
};
