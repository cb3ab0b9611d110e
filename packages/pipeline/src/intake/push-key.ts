import { createHash } from 'node:crypto';
import type { AppName, RefName, RepositoryRef } from '@pipit/core';

export interface Push {
  readonly app: AppName;
  readonly repository: Pick<RepositoryRef, 'id'>;
  readonly ref: RefName;
  /** The number of the ref's move that starts a run; of a push that was overtaken, its event's id. */
  readonly move: number | string;
}

/** The same for one push, whichever hook, poll or backfill reported it; at most one run has it. */
export const pushKeyOf = ({ app, repository, ref, move }: Push): string =>
  createHash('sha256')
    .update(JSON.stringify([app, repository.id, ref, move]))
    .digest('hex');
