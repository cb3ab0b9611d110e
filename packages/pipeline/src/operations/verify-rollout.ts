import type { RingName } from '@pipit/core';
import { hostStateOf } from '../guard/judge-ring.js';
import type { PipelineDefinition } from '../ports/parts.js';
import type { RecordsTransaction } from '../ports/records.js';
import type { OperationRow, ReleaseRow, RingPolicy, RolloutHostRow, RolloutRow, RunRow } from '../records/rows.js';
import { observeRollout } from './observe-ring.js';
import type { OperationPorts } from './operation-ports.js';
import { RECORDED_NEXT } from './recorded-next.js';
import type { StepTools } from './run-step.js';

const ringOf = ({ app, role, ring }: RolloutRow) => ({ app, role, ring });

/** Whether the ring's latest rollout is this one: a newer one decides for itself what the ring is. */
const holdsRing = async (transaction: RecordsTransaction, rollout: RolloutRow): Promise<boolean> =>
  (await transaction.get('rings', ringOf(rollout)))?.rolloutId === rollout.id;

/** Hosts whose own words are kept in full: they mostly say the same. */
const TOLD_IN_FULL = 2;
const TAIL_LINES = 20;

const logFailures = (tools: StepTools, rows: readonly RolloutHostRow[]): void => {
  for (const [index, { hostId, report }] of rows.filter((row) => row.report?.error !== undefined).entries()) {
    const tail = index < TOLD_IN_FULL ? (report?.raw?.trimEnd().split('\n').slice(-TAIL_LINES) ?? []) : [];
    tools.log(`${[`${hostId}: ${report?.error?.message ?? ''}`, ...tail.map((line) => `  ${line}`)].join('\n')}\n`);
  }
};

/** Looks at every listed host, judges the ring, and stores both. */
export const verifyRollout = async (
  ports: OperationPorts,
  tools: StepTools,
  definition: PipelineDefinition,
  subject: { readonly rollout: RolloutRow; readonly release: ReleaseRow; readonly policy: RingPolicy },
): Promise<{ readonly verified: boolean; readonly reason: string }> => {
  const { rollout, release, policy } = subject;
  const observation = await observeRollout(ports, tools, definition, { rollout, release, minHealthy: policy.minHealthy });
  const { judgement, reports, rows: before } = observation;
  const at = ports.clock.now().toISOString();
  // What the install said explains more than what the host shows afterwards.
  const installFailure = before.find((row) => row.state === 'failed' && row.report?.error !== undefined);
  const reason =
    !judgement.verified && installFailure?.report?.error !== undefined
      ? `${judgement.hosts.filter((host) => host.state === 'failed').length} of ${judgement.hosts.length} hosts failed; ${installFailure.hostId}: ${installFailure.report.error.message}`
      : judgement.reason;
  const state = judgement.verified ? 'verified' : 'failed';
  const given = await ports.records.transaction(async (transaction): Promise<RolloutRow | undefined> => {
    // Asked together: one round trip.
    const [, isLatest, current] = await Promise.all([
      transaction.lock(`app:${rollout.app}`),
      holdsRing(transaction, rollout),
      transaction.get('rollouts', { id: rollout.id }),
    ]);
    // Failed for good: its run was cancelled, or its ring taken back, while the hosts were looked at.
    if (current?.state === 'failed') return current;
    const changes = judgement.hosts.map((host) => {
      const row = before.find((each) => each.hostId === host.hostId);
      const seen = reports.find((each) => each.hostId === host.hostId);
      const error = row?.report?.error ?? seen?.error;
      const report =
        seen === undefined ? (row?.report ?? null) : { ...seen, ...(host.state !== 'verified' && error !== undefined ? { error } : {}) };
      return { rolloutId: rollout.id, hostId: host.hostId, state: hostStateOf(host), report, updatedAt: at };
    });
    transaction.sendWithCommit(transaction.updateAll('rolloutHosts', changes));
    transaction.sendWithCommit(transaction.update('rollouts', { id: rollout.id }, { state, reason, endedAt: rollout.endedAt ?? at }));
    if (isLatest) transaction.sendWithCommit(transaction.update('rings', ringOf(rollout), { state, updatedAt: at }));
    return undefined;
  }, RECORDED_NEXT);
  if (given !== undefined) return { verified: false, reason: given.reason ?? reason };
  if (!judgement.verified) logFailures(tools, before);
  tools.report(reason);
  return { verified: judgement.verified, reason };
};

/** The rollouts that an operation leaves in doubt when it fails: its own, unfinished; of a watch, the one that it should have judged. */
const inDoubt = async (transaction: RecordsTransaction, operation: OperationRow): Promise<readonly RolloutRow[]> => {
  if (operation.type !== 'watch')
    return (await transaction.list('rollouts', { where: { operationId: operation.id } })).filter((rollout) => rollout.endedAt === null);
  const { ring } = operation.input as unknown as { ring: RingName }; // what the conductor stored for a watch
  return transaction.list('rollouts', { where: { runId: operation.runId, ring, purpose: 'forward', state: 'verified' } });
};

const markFailed = async (transaction: RecordsTransaction, rollouts: readonly RolloutRow[], reason: string, at: string): Promise<void> => {
  for (const rollout of rollouts) {
    await transaction.update('rollouts', { id: rollout.id }, { state: 'failed', reason, endedAt: rollout.endedAt ?? at });
    if (await holdsRing(transaction, rollout)) await transaction.update('rings', ringOf(rollout), { state: 'failed', updatedAt: at });
  }
};

/** What a failed operation leaves in doubt counts as failed: half of a rollout, or a release that nobody watched to the end. */
export const abandonRollout = async (
  transaction: RecordsTransaction,
  operation: OperationRow,
  reason: string,
  at: string,
): Promise<void> => {
  await markFailed(transaction, await inDoubt(transaction, operation), reason, at);
};

/** The same for a run that ends where it is: half of a rollout, and the release of a ring that nobody watched to the end. */
export const abandonRun = async (
  transaction: RecordsTransaction,
  { run, unwatched }: { readonly run: Pick<RunRow, 'id'>; readonly unwatched: RingName | undefined },
  reason: string,
  at: string,
): Promise<void> => {
  const rollouts = await transaction.list('rollouts', { where: { runId: run.id } });
  const counts = (each: RolloutRow): boolean => each.ring === unwatched && each.purpose === 'forward' && each.state === 'verified';
  await markFailed(
    transaction,
    rollouts.filter((each) => each.endedAt === null || counts(each)),
    reason,
    at,
  );
};
