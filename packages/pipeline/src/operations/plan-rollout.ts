import type { ArtifactId, PackageVersion, RingName, RingRef } from '@pipit/core';
import { appendAudit, PIPIT_ACTOR } from '../audit.js';
import { fitsHost } from '../guard/judge-ring.js';
import { guardPromotion } from '../guard/promotion-guard.js';
import { planRollback } from '../guard/rollback-target.js';
import { nextSequence } from '../guard/sequence.js';
import { stricterPolicy } from '../guard/stricter-policy.js';
import type { PipelineDefinition } from '../ports/parts.js';
import { rolloutIdOf } from '../records/ids.js';
import type { RingPolicy, RolloutHostRow, RolloutPurpose, RolloutRow } from '../records/rows.js';
import { listRingHosts } from './list-hosts.js';
import { observeRollout } from './observe-ring.js';
import type { OperationPorts } from './operation-ports.js';
import { readDefinition } from './read-definition.js';
import { readRelease } from './read-release.js';
import { RECORDED_NEXT } from './recorded-next.js';
import type { OperationScope, StepTools } from './run-step.js';
import { StepFailed } from './step-failed.js';

export interface RolloutInput {
  readonly ring: RingName;
  readonly purpose: RolloutPurpose;
}

interface Choice {
  readonly version: PackageVersion;
  readonly artifacts: readonly ArtifactId[];
  /** The rollout of the ring before that the choice rests on; it must still be the latest when the plan is stored. */
  readonly restsOn: RolloutRow | undefined;
}

export const policyOf = (scope: OperationScope, definition: PipelineDefinition, ring: RingName): RingPolicy => {
  const then = scope.run.rings.find((each) => each.name === ring);
  if (then === undefined) throw new StepFailed({ code: 'RING_UNKNOWN', message: `Run ${scope.run.id} has no ring ${ring}` });
  return stricterPolicy(
    then,
    definition.rings.find((each) => each.name === ring),
  );
};

/** What the run's own commit made: only the first ring may be given it, and only from its own publish. */
const chooseFirst = async (ports: OperationPorts, scope: OperationScope): Promise<Choice> => {
  const release = await readRelease(ports.records, scope.run.app, scope.run.version);
  if (release.commit.sha !== scope.run.sha)
    throw new StepFailed({
      code: 'RELEASE_OF_ANOTHER_COMMIT',
      message: `Release ${release.version} is of commit ${release.commit.sha}, but the run is for ${scope.run.sha}`,
    });
  return { version: release.version, artifacts: release.artifacts.map(({ content: _content, ...id }) => id), restsOn: undefined };
};

/** What the ring before runs, verified, now. */
const choosePromoted = async (
  ports: OperationPorts,
  scope: OperationScope,
  tools: StepTools,
  definition: PipelineDefinition,
  rings: { readonly from: RingName; readonly to: RingName },
): Promise<Choice> => {
  const { records } = ports;
  const { app, role, id: runId } = scope.run;
  const before = { app, role, ring: rings.from };
  // Asked together: one round trip.
  const [ring, promotion, own] = await Promise.all([
    records.get('rings', before),
    records.get('promotions', { runId, ring: rings.to }),
    records.list('rollouts', { where: { runId, ring: rings.from, purpose: 'forward' }, orderBy: ['sequence', 'ascending'] }),
  ]);
  const rollout = ring && (await records.get('rollouts', { id: ring.rolloutId }));
  const expected = promotion ?? own.at(-1);
  if (ring === undefined || rollout === undefined || expected === undefined)
    throw new StepFailed({
      code: 'PROMOTION_NOTHING_THERE',
      message: `Ring ${rings.from} runs no release`,
      hint: `Deliver a commit to ${rings.from} first.`,
    });
  const release = await readRelease(records, app, ring.version);
  const { minHealthy } = policyOf(scope, definition, rings.from);
  const observation = await observeRollout(ports, tools, definition, { rollout, release, minHealthy });
  const verdict = guardPromotion({ from: rings.from, ring, rollout, expected, ...observation });
  if (!verdict.allowed) throw new StepFailed(verdict.error);
  return { version: verdict.version, artifacts: verdict.artifacts, restsOn: rollout };
};

const chooseRollback = async (ports: OperationPorts, scope: OperationScope, ring: RingName): Promise<Choice> => {
  const { app, role, rings, kind, version } = scope.run;
  const rollouts = await ports.records.list('rollouts', { where: { app, role } });
  const target = planRollback({ ring, rings: rings.map((each) => each.name), rollouts, told: kind === 'rollback' ? version : null });
  if ('error' in target) throw new StepFailed(target.error);
  return { version: target.rollout.version, artifacts: target.rollout.artifacts, restsOn: undefined };
};

const readAdvertised = async (tools: StepTools, definition: PipelineDefinition, ring: RingRef) => {
  const { advertiser } = definition;
  return tools.effect({ part: advertiser, folder: 'none' }, (op) => advertiser.subject.read({ ring, options: advertiser.options }, op));
};

/**
 * Chooses the release by the guard, lists the hosts, and stores rollout and sequence, before anything outside is touched.
 * Entered again after a crash it finds what it stored.
 */
export const planRollout = async (
  ports: OperationPorts,
  scope: OperationScope,
  tools: StepTools,
  input: RolloutInput,
): Promise<RolloutRow> => {
  const { records, clock, catalog } = ports;
  const { run, operation } = scope;
  const [stored] = await records.list('rollouts', { where: { operationId: operation.id } });
  if (stored !== undefined) return stored;
  const definition = readDefinition(catalog, run);
  const at = run.rings.findIndex((each) => each.name === input.ring);
  const from = run.rings[at - 1]?.name;
  const choice =
    input.purpose === 'rollback'
      ? await chooseRollback(ports, scope, input.ring)
      : from === undefined
        ? await chooseFirst(ports, scope)
        : await choosePromoted(ports, scope, tools, definition, { from, to: input.ring });
  const ring: RingRef = { app: run.app, role: run.role, ring: input.ring };
  const hosts = await listRingHosts(tools, definition, ring);
  const { current } = await readAdvertised(tools, definition, ring);
  const { deployer } = definition;
  const reports = await tools.effect({ part: deployer, folder: 'attempt' }, (op) =>
    deployer.subject.observe(
      { ring, packages: [...new Set(choice.artifacts.map((each) => each.name))], hosts, options: deployer.options },
      op,
    ),
  );
  const foreign = reports.flatMap((report) => (report.foreign === undefined ? [] : [{ hostId: report.hostId, ...report.foreign }]));
  for (const { hostId, name, version } of foreign) {
    const verdict = definition.mayTakeOver(run.app) ? 'the config lets this app take it over' : 'the host will refuse to replace it';
    tools.log(`${hostId}: ${name} ${version} is not pipit's; ${verdict}\n`);
  }
  const now = clock.now().toISOString();
  const rollout = await records.transaction(async (transaction) => {
    const { restsOn } = choice;
    // Asked together: one round trip. A commit whose answer was lost is tried again.
    const [, [already], before, known] = await Promise.all([
      transaction.lock(`app:${run.app}`),
      transaction.list('rollouts', { where: { operationId: operation.id } }),
      restsOn === undefined ? undefined : transaction.get('rings', { ...ring, ring: restsOn.ring }),
      transaction.get('rings', ring),
    ]);
    if (already !== undefined) return already;
    if (restsOn !== undefined) {
      if (before?.rolloutId !== restsOn.id)
        throw new StepFailed({
          code: 'PROMOTION_OVERTAKEN',
          message: `Ring ${restsOn.ring} has just had another rollout`,
          hint: 'Look again, then promote.',
        });
    }
    const sequence = nextSequence({ recorded: known?.sequence ?? 0, advertised: current, reports });
    const row: RolloutRow = {
      ...ring,
      id: rolloutIdOf(ring, sequence),
      runId: run.id,
      operationId: operation.id,
      sequence,
      version: choice.version,
      artifacts: choice.artifacts,
      purpose: input.purpose,
      state: 'planned',
      reason: null,
      startedAt: now,
      endedAt: null,
    };
    const listed = hosts.map((host): RolloutHostRow => {
      const architecture = host.attributes.architecture ?? null;
      const left = !choice.artifacts.some((artifact) => fitsHost(artifact, architecture));
      const { id: hostId, address } = host;
      return { rolloutId: row.id, hostId, address, architecture, state: left ? 'left' : 'pending', report: null, updatedAt: now };
    });
    const ringRow = { ...ring, sequence, rolloutId: row.id, version: choice.version, state: 'rolling-out', updatedAt: now } as const;
    transaction.sendWithCommit(transaction.insert('rollouts', row));
    transaction.sendWithCommit(transaction.insertAll('rolloutHosts', listed));
    transaction.sendWithCommit(transaction.put('rings', ringRow));
    if (definition.mayTakeOver(run.app) && foreign.length > 0) {
      const detail = { run: run.id, packages: foreign.map(({ hostId, name, version }) => ({ hostId, name, version })) };
      await appendAudit(transaction, { at: clock.now(), actor: PIPIT_ACTOR, action: 'rollout.take-over', subject: row.id, detail });
    }
    return row;
  }, RECORDED_NEXT);
  tools.report(
    `${rollout.version} to ${hosts.length} ${hosts.length === 1 ? 'host' : 'hosts'} of ${input.ring} (rollout ${rollout.sequence})`,
  );
  return rollout;
};
