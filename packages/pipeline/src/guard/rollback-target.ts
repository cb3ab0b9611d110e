import type { PackageVersion, RingName } from '@pipit/core';
import type { ErrorRecord, RolloutRow } from '../records/rows.js';

export interface RollbackToPlan {
  readonly ring: RingName;
  /** Every ring, in order. */
  readonly rings: readonly RingName[];
  /** All rollouts of the app and role, in any order. */
  readonly rollouts: readonly RolloutRow[];
  /** What was reported to the person who asked: no other release than this one, whatever has completed since. */
  readonly told?: PackageVersion | null;
}

export type RollbackTarget = { readonly rollout: RolloutRow } | { readonly error: ErrorRecord };

const newestFirst = (rollouts: readonly RolloutRow[]): RolloutRow[] => [...rollouts].sort((one, other) => other.sequence - one.sequence);

/**
 * What a ring ran, completed, before the release that it runs now came there. Going back twice goes back twice: the rollout of a rollback stands for the
 * forward rollout that first brought its release.
 */
const releaseBefore = (history: readonly RolloutRow[]): RolloutRow | undefined => {
  const [latest, ...earlier] = newestFirst(history);
  if (latest === undefined) return undefined;
  const broughtBy =
    latest.purpose === 'forward' ? latest : earlier.find((rollout) => rollout.purpose === 'forward' && rollout.version === latest.version);
  return earlier.find(
    (rollout) => rollout.state === 'verified' && rollout.version !== latest.version && rollout.sequence < (broughtBy ?? latest).sequence,
  );
};

/**
 * Where a rollback goes. The first ring goes back to the last release that completed in the last one (what production runs); any other ring goes back to the
 * release before its own. Promise 1 holds either way: only a release that completed in the same ring before.
 */
export const planRollback = ({ ring, rings, rollouts, told }: RollbackToPlan): RollbackTarget => {
  const historyOf = (name: RingName | undefined): RolloutRow[] => rollouts.filter((rollout) => rollout.ring === name);
  const last = rings.at(-1);
  const own = historyOf(ring);
  const isFirst = ring === rings[0] && ring !== last;
  const promised = told == null ? undefined : newestFirst(own).find((each) => each.state === 'verified' && each.version === told);
  const target = promised ?? (isFirst ? newestFirst(historyOf(last)).find((rollout) => rollout.state === 'verified') : releaseBefore(own));
  if (target === undefined)
    return {
      error: isFirst
        ? {
            code: 'ROLLBACK_NO_RELEASE',
            message: `No release has completed in ${last} yet, so ${ring} has nothing to go back to`,
            hint: `Deliver a commit that works; until then ${ring} keeps what it has and cannot be promoted.`,
          }
        : {
            code: 'ROLLBACK_NO_RELEASE',
            message: `No other release has completed in ${ring} before, so there is nothing to go back to`,
            hint: 'Deliver a commit that works.',
          },
    };
  if (!own.some((rollout) => rollout.state === 'verified' && rollout.version === target.version))
    return {
      error: {
        code: 'ROLLBACK_NEVER_RAN_HERE',
        message: `${target.version} has never completed in ${ring}, so it may not be installed there`,
        hint: `Deliver a commit to ${ring} instead.`,
      },
    };
  return { rollout: target };
};
