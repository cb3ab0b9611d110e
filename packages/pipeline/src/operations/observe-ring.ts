import { type Host, type HostReport, parseHostAddress } from '@pipit/core';
import { judgeRing, type ListedHost, type RingJudgement } from '../guard/judge-ring.js';
import type { PipelineDefinition } from '../ports/parts.js';
import type { ReleaseRow, RingPolicy, RolloutHostRow, RolloutRow } from '../records/rows.js';
import type { OperationPorts } from './operation-ports.js';
import type { StepTools } from './run-step.js';

/** How often hosts that are busy with another package manager are asked again, and for how long. */
const BUSY = { everyMs: 2_000, atMostMs: 60_000 } as const;

export interface RingObservation {
  /** As they were before the look. */
  readonly rows: readonly RolloutHostRow[];
  readonly listed: readonly ListedHost[];
  readonly reports: readonly HostReport[];
  readonly judgement: RingJudgement;
}

export const listedHostOf = (row: RolloutHostRow): ListedHost => ({ hostId: row.hostId, architecture: row.architecture });

export const hostOf = (row: RolloutHostRow): Host => ({
  id: row.hostId,
  address: parseHostAddress(row.address),
  available: true,
  attributes: row.architecture === null ? {} : { architecture: row.architecture },
});

/** Looks at the hosts of a rollout now, from their own package databases and receipts, with the health check, and judges them. */
export const observeRollout = async (
  ports: OperationPorts,
  tools: StepTools,
  definition: PipelineDefinition,
  subject: { readonly rollout: RolloutRow; readonly release: ReleaseRow; readonly minHealthy: RingPolicy['minHealthy'] },
): Promise<RingObservation> => {
  const { rollout, release, minHealthy } = subject;
  const { deployer } = definition;
  const rows = await ports.records.list('rolloutHosts', { where: { rolloutId: rollout.id } });
  const listed = rows.map(listedHostOf);
  const packages = [...new Set(rollout.artifacts.map((artifact) => artifact.name))];
  const check = definition.healthOf(rollout.app) ?? release.health;
  const ring = { app: rollout.app, role: rollout.role, ring: rollout.ring };
  const observe = (hosts: readonly RolloutHostRow[]): Promise<readonly HostReport[]> =>
    hosts.length === 0
      ? Promise.resolve([])
      : tools.effect({ part: deployer, folder: 'attempt' }, (op) =>
          deployer.subject.observe(
            { ring, packages, hosts: hosts.map(hostOf), options: deployer.options, ...(check === null ? {} : { check }) },
            op,
          ),
        );
  let reports = await observe(rows);
  const giveUpAt = ports.clock.monotonicMs() + BUSY.atMostMs;
  while (reports.some((report) => report.busy === true) && ports.clock.monotonicMs() < giveUpAt && !tools.signal.aborted) {
    await ports.clock.sleep(BUSY.everyMs, tools.signal);
    const again = await observe(rows.filter((row) => reports.some((report) => report.hostId === row.hostId && report.busy === true)));
    reports = reports.map((report) => again.find((each) => each.hostId === report.hostId) ?? report);
  }
  const { sequence, artifacts } = rollout;
  const judgement = judgeRing({ listed, reports, sequence, artifacts, minHealthy, checked: check !== null });
  return { rows, listed, reports, judgement };
};
