import type { HostReport, RolloutRequest } from '@pipit/core';
import type { PipelineDefinition } from '../ports/parts.js';
import type { ReleaseRow, RolloutHostState, RolloutRow } from '../records/rows.js';
import { followTask } from './follow-task.js';
import { hostOf } from './observe-ring.js';
import type { OperationPorts } from './operation-ports.js';
import { WRITTEN_ONCE } from './recorded-next.js';
import type { StepTools } from './run-step.js';

const stateOf = (report: HostReport): RolloutHostState =>
  !report.reachable ? 'unreachable' : report.error === undefined ? 'installed' : 'failed';

/**
 * Installs on the hosts of a rollout: one batch, and one step. Each host's row is committed as its report comes; entered again after a restart
 * it finds the batch that the deployer has under way. A host that fails or cannot be reached stops no other.
 */
export const install = async (
  ports: OperationPorts,
  tools: StepTools,
  definition: PipelineDefinition,
  subject: { readonly rollout: RolloutRow; readonly release: Promise<ReleaseRow> },
): Promise<{ readonly installed: number; readonly failed: number; readonly unreachable: number }> => {
  const { records, clock } = ports;
  const { rollout } = subject;
  const { deployer, repository } = definition;
  // Asked together: one round trip.
  const [release, rows] = await Promise.all([
    subject.release,
    records.list('rolloutHosts', { where: { rolloutId: rollout.id } }),
    records.transaction((transaction) => transaction.update('rollouts', { id: rollout.id }, { state: 'installing' }), WRITTEN_ONCE),
  ]);
  const hosts = rows.filter((row) => row.state !== 'left').map(hostOf);
  const recorded = new Map<string, string>();
  const states = new Map(rows.map((row) => [row.hostId, row.state]));
  const record = async (reports: readonly HostReport[]): Promise<void> => {
    const fresh = reports.filter((report) => recorded.get(report.hostId) !== JSON.stringify(report));
    if (fresh.length === 0) return;
    const updatedAt = clock.now().toISOString();
    const changes = fresh.map((report) => ({ rolloutId: rollout.id, hostId: report.hostId, state: stateOf(report), report, updatedAt }));
    await records.transaction((transaction) => transaction.updateAll('rolloutHosts', changes), WRITTEN_ONCE);
    for (const report of fresh) {
      recorded.set(report.hostId, JSON.stringify(report));
      if (states.has(report.hostId)) states.set(report.hostId, stateOf(report));
    }
    for (const report of fresh.filter((each) => each.error !== undefined || !each.reachable))
      tools.log(`${report.hostId}: ${report.error?.message ?? 'not reachable'}
`);
    tools.report(`${recorded.size} of ${hosts.length} hosts have answered`);
  };
  if (hosts.length > 0) {
    const ring = { app: rollout.app, role: rollout.role, ring: rollout.ring };
    const check = definition.healthOf(rollout.app) ?? release.health;
    // Asked for anew at each entry and never stored: it may hold a credential.
    const sources = await tools.effect({ part: repository, folder: 'attempt' }, (op) =>
      repository.subject.installSources({ ring, options: repository.options }, op),
    );
    const artifacts = release.artifacts.filter((artifact) => rollout.artifacts.some((id) => id.digest === artifact.digest));
    const request: RolloutRequest<unknown> = {
      ring,
      sequence: rollout.sequence,
      hosts,
      services: release.metadata.services,
      release: { app: release.app, version: release.version, commit: release.commit, artifacts },
      sources,
      options: deployer.options,
      ...(check === null ? {} : { check }),
      ...(definition.mayTakeOver(rollout.app) ? { takeOver: true } : {}),
    };
    const effect = { part: deployer, folder: 'task', task: 'install' } as const;
    const handle = await tools.effect(
      effect,
      async (op) => (await deployer.subject.find(request, op)) ?? deployer.subject.start(request, op),
    );
    const { result } = await followTask(ports, tools, deployer.subject, {
      effect,
      started: { handle, request },
      cancellable: false,
      onPartial: record,
    });
    await record(result);
  }
  const count = (state: RolloutHostState): number => [...states.values()].filter((each) => each === state).length;
  return { installed: count('installed'), failed: count('failed'), unreachable: count('unreachable') };
};
