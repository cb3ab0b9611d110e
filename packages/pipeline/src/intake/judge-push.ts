import type { CommitSha } from '@pipit/core';
import type { HeadRow } from '../records/rows.js';

export interface ReportedPush {
  /** The commit that the report names, and the one before it if the sender knows that. */
  readonly sha: CommitSha;
  readonly before: CommitSha | undefined;
  /** Whether the commit is what the ref names now. */
  readonly isHead: boolean;
  /** Whether a poll found it: a poll sees where a ref is, and not each way that it went. */
  readonly polled: boolean;
}

/**
 * What a report is about:
 * - `new`: the ref has moved to this commit, as its move of this number.
 * - `known`: that move was reported before, by another hook, poll or backfill.
 * - `passed`: the ref has moved on. With a `move`, it was at this commit in between, and the next report of the commit that it left is new.
 */
export type PushJudgement =
  | { readonly type: 'new'; readonly move: number }
  | { readonly type: 'known' }
  | { readonly type: 'passed'; readonly move: number | undefined };

/**
 * Decides whether a report is of a push that pipit has not seen. A push is a move of a ref, and not a pair of commits: A to B, back to A and
 * to B again are three pushes, however many senders report each of them.
 *
 * @param head where pipit knows the ref to be; undefined when it never heard of it
 */
export const judgePush = (push: ReportedPush, head: Pick<HeadRow, 'sha' | 'moves'> | undefined): PushJudgement => {
  const move = (head?.moves ?? 0) + 1;
  if (push.isHead) return head?.sha === push.sha ? { type: 'known' } : { type: 'new', move };
  const hasLeft = !push.polled && push.before !== undefined && head?.sha === push.before;
  return { type: 'passed', move: hasLeft ? move : undefined };
};
