import { createHash } from 'node:crypto';
import type { ChangeEvent } from '@pipit/core';

/** The same for one push, whichever hook, poll or backfill told it: repository, ref, before and after. */
export const pushKeyOf = ({ repository, ref, before, sha }: ChangeEvent): string =>
  createHash('sha256')
    .update(JSON.stringify([repository.id, ref, before ?? null, sha]))
    .digest('hex');
