import { z } from 'zod';

/** Jenkins leaves fields out rather than saying null, and old servers leave out more: each part is optional that one server lacks. */
const parameter = z.object({ name: z.string(), value: z.unknown().optional() });

const revision = z.object({ SHA1: z.string(), branch: z.array(z.object({ SHA1: z.string(), name: z.string() })).optional() });

const action = z
  .object({
    parameters: z.array(parameter).optional(),
    lastBuiltRevision: revision.nullish(),
    remoteUrls: z.array(z.string()).optional(),
  })
  .nullable();

export const BUILD_TREE =
  'number,building,result,url,timestamp,duration,actions[parameters[name,value],lastBuiltRevision[SHA1,branch[SHA1,name]],remoteUrls]';

export const build = z.object({
  number: z.int().positive(),
  building: z.boolean(),
  result: z.string().nullish(),
  url: z.string(),
  /** When it began, in milliseconds since 1970, by Jenkins' clock. */
  timestamp: z.number(),
  /** Milliseconds; 0 while it runs. */
  duration: z.number(),
  actions: z.array(action),
});

export const buildList = z.object({ builds: z.array(build) });

export const QUEUE_TREE = 'id,why,cancelled,executable[number,url],task[name,url],actions[parameters[name,value]]';

export const queueItem = z.object({
  id: z.int(),
  why: z.string().nullish(),
  cancelled: z.boolean().optional(),
  executable: z.object({ number: z.int().positive(), url: z.string() }).nullish(),
  task: z.object({ name: z.string().optional(), url: z.string().optional() }).nullish(),
  actions: z.array(action).optional(),
});

export const queue = z.object({ items: z.array(queueItem) });

export const JOB_TREE = 'name,url,buildable,scm[_class],property[parameterDefinitions[name,type]]';

export const job = z.object({
  name: z.string(),
  url: z.string(),
  /** Absent for a folder. */
  buildable: z.boolean().optional(),
  /** Old servers give no class. */
  scm: z.object({ _class: z.string().optional() }).nullish(),
  property: z.array(z.object({ parameterDefinitions: z.array(z.object({ name: z.string() })).optional() }).nullable()).optional(),
});

export const OUTPUTS_TREE = 'artifacts[fileName,relativePath],fingerprint[fileName,hash]';

export const outputs = z.object({
  artifacts: z.array(z.object({ fileName: z.string(), relativePath: z.string() })),
  fingerprint: z.array(z.object({ fileName: z.string(), hash: z.string() }).nullable()).optional(),
});

export const crumb = z.object({ crumb: z.string(), crumbRequestField: z.string() });

export type Build = z.output<typeof build>;
export type QueueItem = z.output<typeof queueItem>;
export type Job = z.output<typeof job>;

/** A parameter's value as text; undefined where it is not there, or is no text (a file, a password that Jenkins hides). */
export const parameterOf = ({ actions = [] }: Pick<QueueItem, 'actions'>, name: string): string | undefined => {
  const found = actions.flatMap((each) => each?.parameters ?? []).find((each) => each.name === name)?.value;
  return typeof found === 'string' ? found : undefined;
};
