import { parseCommitSha } from '@pipit/core';
import { z } from 'zod';
import type { Heads } from './branch-heads.js';

/** What the last poll knew. */
export interface KnownHeads {
  /** GitHub's id by the name of the config: asked once. */
  readonly ids: Readonly<Record<string, string>>;
  /** The heads by the repository's id, so that a new name in the config loses no push. */
  readonly heads: Readonly<Record<string, Heads>>;
  /** How many changes the polls have found. */
  readonly moves: number;
}

const cursorSchema = z.object({
  ids: z.record(z.string(), z.string().regex(/^\d+$/)),
  heads: z.record(z.string(), z.record(z.string(), z.string().transform(parseCommitSha))),
  moves: z.int().default(0),
});

/** Undefined for a cursor that cannot be read, and for none: then nothing is known, as on the first poll. */
export const parseHeadsCursor = (cursor: string | undefined): KnownHeads | undefined => {
  if (cursor === undefined) return undefined;
  try {
    return cursorSchema.parse(JSON.parse(cursor));
  } catch {
    return undefined;
  }
};

const sorted = <T>(record: Readonly<Record<string, T>>): Readonly<Record<string, T>> =>
  Object.fromEntries(Object.entries(record).sort(([one], [other]) => (one < other ? -1 : 1)));

/** The same text for the same heads, so that a poll that found nothing writes nothing. */
export const writeHeadsCursor = ({ ids, heads, moves }: KnownHeads): string =>
  JSON.stringify({ ids: sorted(ids), heads: sorted(heads), moves });
