import type { AppName, PackageVersion, RingName, RoleName } from '@pipit/core';
import { appendAudit } from '../audit.js';
import { endRun } from '../conduct/apply-move.js';
import { lockNameOf } from '../conduct/decide.js';
import { planRollback } from '../guard/rollback-target.js';
import { type RunId, runIdOf } from '../records/ids.js';
import { nextRunNumber } from '../records/next-run-number.js';
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
}

/** Begins a rollout of an earlier release: the first ring goes back to what the last one runs, any other to its release before. */
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
    const target = planRollback({ ring, rings, rollouts: await transaction.list('rollouts', { where: { app, role } }) });
    if ('error' in target) return refuse(target.error);
    const at = clock.now();
    const lock = await transaction.get('locks', { name: lockNameOf(latest) });
    const holder = lock && (await transaction.get('runs', { id: lock.runId }));
    // A ring that is only being watched may go back at once; a rollout under way is never cut off.
    if (lock !== undefined && !(holder?.waitingFor === 'bake' && holder.stage === `bake:${ring}`))
      return refuse({
        code: 'ROLLOUT_UNDER_WAY',
        message: `Run ${lock.runId} holds the rollout lock of ${app} (${lock.reason}) since ${lock.since}`,
        hint: 'Wait until it has ended: `pipit run show` follows it.',
      });
    const overtaken = await transaction.list('runs', { where: { app, role, state: 'waiting', waitingFor: ['promotion', 'bake'] } });
    for (const run of overtaken.filter(
      (each) => each.stage === `bake:${ring}` || (each.waitingFor === 'promotion' && comesFrom(each.stage, rings, ring)),
    )) {
      const reason = `${request.actor.name} rolled ${ring} back to ${target.rollout.version}`;
      await endRun(transaction, run, { outcome: 'rolled-back', reason, at });
      const detail = { outcome: 'rolled-back', reason };
      await appendAudit(transaction, { at, actor: request.actor, action: 'run.end', subject: run.id, detail });
    }
    const number = await nextRunNumber(transaction, app);
    const id = runIdOf(app, number);
    const release = await transaction.get('releases', { app, version: target.rollout.version });
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
      version: target.rollout.version,
      targetRing: ring,
      stage: `rollback:${ring}`,
      createdAt: at.toISOString(),
      updatedAt: at.toISOString(),
    });
    // Taken here and now: a newer run that waits for the lock would else get it first, and be rolled back instead.
    await transaction.insert('locks', { name: lockNameOf(latest), runId: id, reason: `rollback of ${ring}`, since: at.toISOString() });
    const detail = { ring, version: target.rollout.version, why: request.reason ?? null };
    await appendAudit(transaction, { at, actor: request.actor, action: 'run.rollback', subject: id, detail });
    return { runId: id, ring, version: target.rollout.version };
  });
  wakeRun(begun.runId);
  return begun;
};

/** Whether the promotion that a run waits for would take from this ring. */
const comesFrom = (stage: string, rings: readonly RingName[], ring: RingName): boolean => {
  const to = rings[rings.indexOf(ring) + 1];
  return to !== undefined && stage === `promotion:${to}`;
};
