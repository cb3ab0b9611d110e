import { z } from 'zod';

const handle = z.strictObject({
  /** Folders and job. */
  job: z.array(z.string().min(1)).min(1),
  /** The run's key, which the build carries as a parameter; absent where the build is adopted. */
  key: z.string().min(1).optional(),
  /** Where the build stands in the queue. Old servers number the queue anew at each start, so the key decides. */
  queue: z.int().optional(),
  build: z.int().positive().optional(),
  /** Adopted: since when the build is waited for, in milliseconds since 1970, and whether a build that failed before counts. */
  adopt: z.strictObject({ since: z.number(), again: z.boolean() }).optional(),
});

/** What pipit stores of a build: enough to find it from another machine. */
export type BuildHandle = z.output<typeof handle>;

export const formatHandle = (value: BuildHandle): string => JSON.stringify(value);

/** Undefined for a text that this plugin never gave. */
export const parseHandle = (text: string): BuildHandle | undefined => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return handle.safeParse(value).data;
};
