import type { ArtifactId, HostReport, PackageVersion, RingName } from '@pipit/core';
import type { ErrorRecord, RingRow, RolloutRow } from '../records/rows.js';
import type { ListedHost, RingJudgement } from './judge-ring.js';

export type GuardVerdict =
  | { readonly allowed: true; readonly version: PackageVersion; readonly artifacts: readonly ArtifactId[] }
  | { readonly allowed: false; readonly error: ErrorRecord };

const refuse = (error: ErrorRecord): GuardVerdict => ({ allowed: false, error });

export interface PromotionToGuard {
  /** The ring before. */
  readonly from: RingName;
  /** Where the ring before stands, at this moment. */
  readonly ring: RingRow | undefined;
  /** Its latest rollout: the one that {@link PromotionToGuard.ring} names. */
  readonly rollout: RolloutRow | undefined;
  /** The judgement of its hosts, observed at this moment. */
  readonly judgement: RingJudgement;
  readonly listed: readonly ListedHost[];
  readonly reports: readonly HostReport[];
  /** The version and sequence that were asked for, when the run was told. */
  readonly expected: { readonly version: PackageVersion; readonly sequence: number };
}

/**
 * Promise 1: a forward rollout may name only the release that the ring before it runs, verified, at that moment. There is nothing to choose: what comes out
 * is what those hosts' receipts say, cut down to the artifacts that at least one verified host runs.
 */
export const guardPromotion = (promotion: PromotionToGuard): GuardVerdict => {
  const { from, ring, rollout, judgement, expected } = promotion;
  if (ring === undefined || rollout === undefined)
    return refuse({ code: 'PROMOTION_NOTHING_THERE', message: `Ring ${from} runs no release`, hint: `Deliver a commit to ${from} first.` });
  if (ring.sequence !== expected.sequence || ring.version !== expected.version)
    return refuse({
      code: 'PROMOTION_OVERTAKEN',
      message: `Ring ${from} runs ${ring.version} (rollout ${ring.sequence}) and no longer ${expected.version} (rollout ${expected.sequence})`,
      hint: `Look at ${from} again, then promote what it runs now.`,
    });
  if (ring.state !== 'verified' || rollout.state !== 'verified')
    return refuse({
      code: 'PROMOTION_NOT_VERIFIED',
      message: `Ring ${from} is ${ring.state} on ${ring.version}${rollout.reason === null ? '' : `: ${rollout.reason}`}`,
      hint: `Deliver a commit that ${from} runs well; a failed canary is never promoted.`,
    });
  if (!judgement.verified)
    return refuse({
      code: 'PROMOTION_NOT_VERIFIED',
      message: `Ring ${from} does not run ${ring.version} verified now: ${judgement.reason}`,
      hint: `See \`pipit hosts\`; promote when ${from} is healthy again, or deliver a new commit.`,
    });
  const verified = new Set(judgement.hosts.filter((host) => host.state === 'verified').map((host) => host.hostId));
  const running = new Set(
    promotion.reports.filter((report) => verified.has(report.hostId)).flatMap((report) => report.installed?.digest ?? []),
  );
  const artifacts = rollout.artifacts.filter((artifact) => running.has(artifact.digest));
  if (artifacts.length === 0)
    return refuse({
      code: 'PROMOTION_NOTHING_THERE',
      message: `No host of ring ${from} runs the release's bytes`,
      hint: 'See `pipit hosts`.',
    });
  return { allowed: true, version: ring.version, artifacts };
};
