import { type ArtifactId, assertNever, type HostReport } from '@pipit/core';
import type { RingPolicy } from '../records/rows.js';

export interface ListedHost {
  readonly hostId: string;
  /** null: discovery does not say; then any of the release's architectures may be its own. */
  readonly architecture: string | null;
}

export interface RingToJudge {
  /** As they were listed when the rollout began. */
  readonly listed: readonly ListedHost[];
  readonly reports: readonly HostReport[];
  readonly sequence: number;
  readonly artifacts: readonly ArtifactId[];
  readonly minHealthy: RingPolicy['minHealthy'];
  /** Whether the hosts were to be asked for their health: then silence is no pass. */
  readonly checked: boolean;
}

export type HostVerdict =
  | { readonly hostId: string; readonly state: 'verified' }
  | { readonly hostId: string; readonly state: 'failed' | 'unreachable' | 'left'; readonly reason: string };

export interface RingJudgement {
  readonly verified: boolean;
  /** One sentence. */
  readonly reason: string;
  readonly hosts: readonly HostVerdict[];
  readonly verifiedCount: number;
  readonly required: number;
}

/** Artifacts of no particular architecture fit every host. Source: Debian Policy 5.6.8; rpm's BuildArch. */
const INDEPENDENT = new Set(['all', 'noarch']);

export const fitsHost = (artifact: ArtifactId, architecture: string | null): boolean =>
  architecture === null || INDEPENDENT.has(artifact.architecture) || artifact.architecture === architecture;

/** By default at least one, and half. */
export const requiredHosts = (minHealthy: RingPolicy['minHealthy'], hosts: number): number => {
  if (minHealthy === null) return Math.max(1, Math.ceil(hosts / 2));
  // None is never enough, whatever the config says.
  return Math.max(1, 'hosts' in minHealthy ? minHealthy.hosts : Math.ceil(minHealthy.share * hosts));
};

const judgeHost = (host: ListedHost, ring: RingToJudge): HostVerdict => {
  const { hostId } = host;
  const fitting = ring.artifacts.filter((artifact) => fitsHost(artifact, host.architecture));
  if (fitting.length === 0) return { hostId, state: 'left', reason: `no artifact for architecture ${host.architecture ?? 'unknown'}` };
  const report = ring.reports.find((each) => each.hostId === hostId);
  if (report === undefined || !report.reachable)
    return { hostId, state: 'unreachable', reason: report?.error?.message ?? 'no report of this host' };
  const failed = (reason: string): HostVerdict => ({ hostId, state: 'failed', reason });
  if (report.error !== undefined) return failed(report.error.message);
  if (report.busy === true) return failed('another package manager is at work there');
  if (report.installed === undefined) return failed('nothing installed');
  const { digest, sequence, version } = report.installed;
  if (sequence !== ring.sequence) return failed(`its receipt is of rollout ${sequence ?? 'none'}, not of ${ring.sequence}`);
  if (digest === undefined) return failed('its receipt has no digest');
  if (!fitting.some((artifact) => artifact.digest === digest && artifact.version === version))
    return failed(
      `it runs ${version} (${digest}), not ${fitting.map((artifact) => `${artifact.version} (${artifact.digest})`).join(' or ')}`,
    );
  if (report.healthy === false) return failed('its health check fails');
  if (ring.checked && report.healthy === undefined) return failed('it did not answer the health check');
  return { hostId, state: 'verified' };
};

/**
 * Whether a ring runs a release, verified: of the hosts listed when the rollout began, every reachable one has a receipt with that sequence and digest and
 * passes its health check, and at least `minHealthy` do. None is never enough; an unreachable host is never counted as good.
 */
export const judgeRing = (ring: RingToJudge): RingJudgement => {
  const hosts = ring.listed.map((host) => judgeHost(host, ring));
  const count = (state: HostVerdict['state']): number => hosts.filter((host) => host.state === state).length;
  const verifiedCount = count('verified');
  const required = requiredHosts(ring.minHealthy, hosts.length - count('left'));
  const firstFailed = hosts.find((host) => host.state === 'failed');
  const result = (verified: boolean, reason: string): RingJudgement => ({ verified, reason, hosts, verifiedCount, required });
  if (firstFailed !== undefined && firstFailed.state === 'failed')
    return result(false, `${count('failed')} of ${hosts.length} hosts failed; ${firstFailed.hostId}: ${firstFailed.reason}`);
  if (verifiedCount < required)
    return result(false, `${verifiedCount} of ${hosts.length} hosts run it and are healthy; ${required} needed`);
  const others = hosts.length - verifiedCount;
  return result(
    true,
    `${verifiedCount} of ${hosts.length} hosts run it and are healthy${others > 0 ? `; ${others} unreachable or of another architecture` : ''}`,
  );
};

/** What a rollout's host row becomes by a verdict. */
export const hostStateOf = (verdict: HostVerdict): 'installed' | 'failed' | 'unreachable' | 'left' => {
  switch (verdict.state) {
    case 'verified':
      return 'installed';
    case 'failed':
    case 'unreachable':
    case 'left':
      return verdict.state;
    default:
      return assertNever(verdict);
  }
};
