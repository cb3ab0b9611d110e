import { type ChangeEvent, type CommitSha, parseCommitSha, parseRefName, type RepositoryRef } from '@pipit/core';
import type { PushBody } from './push-body.js';

const NO_COMMIT = /^(?:0{40}|0{64})$/;
const MAX_AUTHOR_LENGTH = 200;

/** GitHub writes zeros where there is no commit: before a new ref, after a deleted one. */
const commitOf = (text: string): CommitSha | null => (NO_COMMIT.test(text) ? null : parseCommitSha(text));

/** Shown to people, so no character of it may move a cursor or a line. */
const authorOf = ({ pusher, sender }: PushBody): { readonly author?: string } => {
  const author = (pusher?.name ?? sender?.login)?.replace(/\p{C}/gu, ' ').trim().slice(0, MAX_AUTHOR_LENGTH);
  return author === undefined || author === '' ? {} : { author };
};

/** What a delivery is known by: its own id, which GitHub does not sign, and the key made of what it signs. */
export interface DeliveryIds {
  readonly key: string;
  readonly delivery: string;
}

/**
 * GitHub's push -> our change event. A repository hook and an organisation hook report one push in two deliveries: they differ in `key` and `delivery` alone.
 *
 * @returns undefined when the push names no commit at all
 * @throws PluginError `INVALID_COMMIT`, `INVALID_REF` (stop)
 */
export const mapPush = (body: PushBody, repository: RepositoryRef, ids: DeliveryIds): ChangeEvent | undefined => {
  const before = commitOf(body.before);
  const sha = commitOf(body.after);
  if (before === null && sha === null) return undefined;
  return {
    ...ids,
    repository,
    ref: parseRefName(body.ref),
    sha,
    ...(before === null ? {} : { before }),
    ...authorOf(body),
  };
};
