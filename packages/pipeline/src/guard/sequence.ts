import type { Advertisement, HostReport } from '@pipit/core';

/** One more than the greatest that the database, the advertised key and the hosts' receipts know. */
export const nextSequence = (known: {
  readonly recorded: number;
  readonly advertised: Advertisement | undefined;
  readonly reports: readonly HostReport[];
}): number =>
  1 + Math.max(0, known.recorded, known.advertised?.sequence ?? 0, ...known.reports.map((report) => report.installed?.sequence ?? 0));

/**
 * What to do with the advertised key before writing `next`.
 *
 * - `write`: what stands there is older, or nothing does.
 * - `done`: exactly this stands there.
 * - `superseded`: a newer rollout has written, or another release stands under the same sequence.
 */
export const judgeAdvertisement = (current: Advertisement | undefined, next: Advertisement): 'write' | 'done' | 'superseded' => {
  if (current === undefined || current.sequence < next.sequence) return 'write';
  return current.sequence === next.sequence && current.version === next.version ? 'done' : 'superseded';
};
