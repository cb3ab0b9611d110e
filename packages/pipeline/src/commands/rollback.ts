import type { AppName, PackageVersion, RingName, RoleName } from '@pipit/core';
import { appendAudit } from '../audit.js';
import { endRun } from '../conduct/apply-move.js';
import { installLockOf } from '../conduct/locks.js';
import { planRollback } from '../guard/rollback-target.js';
import { markKnownNotice } from '../notices/mark-notice.js';
import type { RecordsTransaction } from '../ports/records.js';
import { type RunId, runIdOf } from '../records/ids.js';
import { nextRunNumber } from '../records/next-run-number.js';
import type { LockRow, RolloutRow, RunRow } from '../records/rows.js';
import { rollbackStage } from '../stages/plan-stages.js';
import { refuse } from './command-error.js';
import type { Asked, CommandPorts } from './command-ports.js';
import { FRESH_RUN } from './fresh-run.js';
import { readLatestRun } from './read-latest-run.js';

export interface RollbackRequest extends Asked {
  readonly app: AppName;
  readonly role?: RoleName;
  /** Default: the last ring. */
  readonly ring?: RingName;
}

export interface RolledBack {
  readonly runId: RunId;
  readonly ring: RingName;
  /** What the ring goes back to. */
  readonly version: PackageVersion;
  /** What the command did and what follows, one sentence each. */
  readonly did: readonly string[];
}

interface Situation {
  /** The app's latest run, with today's rings: what the rollback run is made after. */
  readonly latest: RunRow;
  readonly ring: RingName;
  readonly target: RolloutRow;
  /** Runs of the app and role that have not ended. */
  readonly open: readonly RunRow[];
  readonly rollouts: readonly RolloutRow[];
  /** Held by the install that is under way. */
  readonly lock: LockRow | undefined;
  readonly at: Date;
}

/** Brings a ring back: accepted at any time. The first ring goes back to what the last one runs, any other to its release before. */
export const rollback = async ({ records, catalog, clock, wakeRun }: CommandPorts, request: RollbackRequest): Promise<RolledBack> => {
  const { app } = request;
  const begun = await records.transaction(async (transaction) => {
    await transaction.lock(`app:${app}`);
    const latest = await readLatestRun(transaction, catalog, app, request.role);
    const { role } = latest;
    const rings = latest.rings.map((each) => each.name);
    const ring = request.ring ?? rings.at(-1);
    if (ring === undefined || !rings.includes(ring))
      return refuse({ code: 'RING_UNKNOWN', message: `App ${app} has no ring ${ring ?? ''}`, hint: `Its rings: ${rings.join(', ')}.` });
    const rollouts = await transaction.list('rollouts', { where: { app, role } });
    const target = planRollback({ ring, rings, rollouts });
    if ('error' in target) return refuse(target.error);
    const open = await transaction.list('runs', { where: { app, role, state: ['active', 'waiting'] }, orderBy: ['number', 'ascending'] });
    const lock = await transaction.get('locks', { name: installLockOf(latest) });
    const situation = { latest, ring, target: target.rollout, open, rollouts, lock, at: clock.now() };
    const already = open.find((run) => run.stage === rollbackStage(ring).name);
    return already === undefined ? beginRollback(transaction, situation, request) : joinRollback(transaction, situation, already, request);
  });
  wakeRun(begun.runId);
  return begun;
};

/** Asking twice is asking once: the ring goes back one release, and not two. */
const joinRollback = async (
  transaction: RecordsTransaction,
  { ring, target, rollouts, at }: Situation,
  already: RunRow,
  request: RollbackRequest,
): Promise<RolledBack> => {
  const planned = rollouts.find((each) => each.runId === already.id && each.ring === ring && each.purpose === 'rollback');
  const version = planned?.version ?? (already.kind === 'rollback' ? already.version : null) ?? target.version;
  // Cancelled a moment ago, it is asked for again.
  if (already.kind === 'rollback') await transaction.update('runs', { id: already.id }, { cancelRequestedBy: null });
  const detail = { ring, version, why: request.reason ?? null, joined: true };
  await appendAudit(transaction, { at, actor: request.actor, action: 'run.rollback', subject: already.id, detail });
  return { runId: already.id, ring, version, did: [`run ${already.id} brings ${ring} back to ${version} already`] };
};

const beginRollback = async (transaction: RecordsTransaction, situation: Situation, request: RollbackRequest): Promise<RolledBack> => {
  const { latest, ring, target, lock, at } = situation;
  const { app } = latest;
  const { version } = target;
  const ended = await endWhatItTakesBack(transaction, situation, request);
  const number = await nextRunNumber(transaction, app);
  const id = runIdOf(app, number);
  const release = await transaction.get('releases', { app, version });
  await transaction.insert('runs', {
    ...latest,
    ...FRESH_RUN,
    id,
    number,
    kind: 'rollback',
    pushKey: id,
    ...(release === undefined
      ? {}
      : { repository: release.commit.repository, sha: release.commit.sha, committedAt: release.commit.committedAt }),
    actor: request.actor.name,
    version,
    targetRing: ring,
    stage: rollbackStage(ring).name,
    createdAt: at.toISOString(),
    updatedAt: at.toISOString(),
  });
  // Taken here and now: nothing that waits comes in between.
  if (lock === undefined)
    await transaction.insert('locks', { name: installLockOf(latest), runId: id, reason: `rollback of ${ring}`, since: at.toISOString() });
  const did = [...ended, ...whatFollows(situation)];
  const detail = { ring, version, why: request.reason ?? null, did };
  await appendAudit(transaction, { at, actor: request.actor, action: 'run.rollback', subject: id, detail });
  return { runId: id, ring, version, did };
};

/** Ends the bake of the ring, and what waits for a promotion from it. A rollout under way is never cut off: it ends, and its run with it. */
const endWhatItTakesBack = async (
  transaction: RecordsTransaction,
  { latest, ring, target, open, rollouts, at }: Situation,
  { actor }: RollbackRequest,
): Promise<readonly string[]> => {
  const rings = latest.rings.map((each) => each.name);
  const next = rings[rings.indexOf(ring) + 1];
  const ended: string[] = [];
  for (const run of open) {
    const bakes = run.stage === `bake:${ring}`;
    const isHalf =
      run.waitingFor === 'outside' && rollouts.some((each) => each.runId === run.id && each.ring === ring && each.endedAt === null);
    if (!bakes && !isHalf && !(next !== undefined && run.stage === `promotion:${next}`)) continue;
    const reason = `${actor.name} rolled ${ring} back to ${target.version}`;
    await endRun(transaction, run, { outcome: 'rolled-back', reason, at });
    await markKnownNotice(transaction, run.id, at.toISOString());
    await appendAudit(transaction, { at, actor, action: 'run.end', subject: run.id, detail: { outcome: 'rolled-back', reason } });
    if (isHalf) ended.push(`ends the rollout of ${ring}, which waits for the outside (run ${run.id})`);
    else ended.push(bakes ? `ends the bake of ${ring} (run ${run.id})` : `ends run ${run.id}, which waited for a promotion from ${ring}`);
  }
  return ended;
};

const whatFollows = ({ ring, target, open, lock }: Situation): readonly string[] => {
  const holder = open.find((run) => run.id === lock?.runId);
  const back = `goes back to ${target.version}`;
  const others = open.flatMap((run) => {
    const baked = run.stage.startsWith('bake:') ? run.stage.slice('bake:'.length) : undefined;
    return baked === undefined || baked === ring ? [] : [`the bake of ${baked} goes on (run ${run.id})`];
  });
  if (lock === undefined) return [`${ring} ${back} now`, ...others];
  const end = holder?.stage === `rollout:${ring}` ? '; that run ends there' : '';
  return [`waits behind ${lock.runId}'s ${lock.reason}, then ${ring} ${back}${end}`, ...others];
};
