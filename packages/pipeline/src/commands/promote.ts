import type { AppName, PackageVersion, RingName, RoleName } from '@pipit/core';
import { appendAudit } from '../audit.js';
import { ringLockOf } from '../conduct/locks.js';
import type { RecordsTransaction } from '../ports/records.js';
import { type RunId, runIdOf } from '../records/ids.js';
import { nextRunNumber } from '../records/next-run-number.js';
import type { PromotionRow, RingRow, RunRow } from '../records/rows.js';
import { refuse } from './command-error.js';
import type { Asked, CommandPorts } from './command-ports.js';
import { FRESH_RUN } from './fresh-run.js';
import { readLatestRun } from './read-latest-run.js';

export interface PromoteRequest extends Asked {
  readonly app: AppName;
  readonly role?: RoleName;
  /** Default: the ring after the first one that is ahead of its next. */
  readonly ring?: RingName;
  /** The version that the caller saw in the ring before; another one there is a conflict. There is no way to choose a version. */
  readonly ifCanary?: PackageVersion;
}

export interface Promoted {
  readonly runId: RunId;
  readonly ring: RingName;
  readonly version: PackageVersion;
}

interface Step {
  readonly from: RingRow;
  readonly to: RingName;
}

/** The ring to feed: the one asked for, else the earliest whose ring before is ahead of it. */
const chooseStep = (run: RunRow, rings: readonly RingRow[], asked: RingName | undefined): Step => {
  const order = run.rings.map((each) => each.name);
  const standing = (name: RingName | undefined): RingRow | undefined => rings.find((each) => each.ring === name);
  if (asked !== undefined && !order.includes(asked))
    refuse({ code: 'RING_UNKNOWN', message: `App ${run.app} has no ring ${asked}`, hint: `Its rings: ${order.join(', ')}.` });
  if (asked !== undefined && asked === order[0])
    refuse({
      code: 'RING_IS_FIRST',
      message: `Ring ${asked} is the first: it gets what is pushed`,
      hint: `Promote to ${order.slice(1).join(' or ')}.`,
    });
  for (const [index, to] of order.entries()) {
    const from = standing(order[index - 1]);
    if (index === 0 || from === undefined || (asked !== undefined && asked !== to)) continue;
    const target = standing(to);
    const isAhead = target === undefined || target.version !== from.version || target.state !== 'verified';
    if (asked !== undefined || isAhead) return { from, to };
  }
  return refuse({
    code: 'PROMOTION_NOTHING_THERE',
    message: `App ${run.app} has nothing to promote: ${rings.map((each) => `${each.ring} runs ${each.version}`).join(', ') || 'no ring runs anything'}`,
    hint: 'Push a commit; promote when its canary is verified.',
  });
};

const refuseUnlessVerified = ({ from }: Step, ifCanary: PackageVersion | undefined): void => {
  if (ifCanary !== undefined && from.version !== ifCanary)
    refuse({
      code: 'PROMOTION_OVERTAKEN',
      message: `Ring ${from.ring} runs ${from.version}, not ${ifCanary}`,
      hint: `Look at ${from.ring} again, then promote what it runs now.`,
    });
  if (from.state !== 'verified')
    refuse({
      code: 'PROMOTION_NOT_VERIFIED',
      message:
        from.state === 'rolling-out'
          ? `Ring ${from.ring} is being rolled out to ${from.version}`
          : `Ring ${from.ring} failed on ${from.version}`,
      hint: from.state === 'rolling-out' ? 'Wait until it is verified.' : 'A failed canary is never promoted: push a commit that works.',
    });
};

/** From its rollout until the end of its bake a ring may still fail: the run that gives it its release holds the ring so long. */
const refuseWhileWatched = async (
  transaction: RecordsTransaction,
  { latest, open }: { readonly latest: RunRow; readonly open: readonly RunRow[] },
  { from }: Step,
): Promise<void> => {
  const back = open.find((run) => run.stage === `rollback:${from.ring}`);
  if (back !== undefined)
    refuse({
      code: 'ROLLBACK_UNDER_WAY',
      message: `Run ${back.id} brings ring ${from.ring} back`,
      hint: 'Push a commit that works, or promote what the ring runs when that run has ended.',
    });
  const lock = await transaction.get('locks', { name: ringLockOf(latest, from.ring) });
  if (lock === undefined) return;
  const holder = await transaction.get('runs', { id: lock.runId });
  refuse({
    code: 'PROMOTION_TOO_EARLY',
    message: `Ring ${from.ring} is watched until ${holder?.dueAt ?? 'its bake ends'}`,
    hint: 'Promote when its bake has ended.',
  });
};

/** Whether a run waits for this promotion, or is just about to: its bake is over, and the next move is not stored yet. */
const awaitsPromotion = (run: RunRow, { from, to }: Step): boolean =>
  run.stage === `promotion:${to}`
    ? run.waitingFor === 'promotion'
    : run.kind !== 'rollback' && run.state === 'active' && run.completedStages.at(-1) === `bake:${from.ring}`;

const insertPromotionRun = async (
  transaction: RecordsTransaction,
  latest: RunRow,
  step: Step,
  request: PromoteRequest,
  at: string,
): Promise<RunId> => {
  const release = await transaction.get('releases', { app: request.app, version: step.from.version });
  if (release === undefined)
    return refuse({
      code: 'RELEASE_NOT_RECORDED',
      message: `Release ${step.from.version} of ${request.app} is not recorded`,
      hint: 'Push a commit.',
    });
  const number = await nextRunNumber(transaction, request.app);
  const id = runIdOf(request.app, number);
  await transaction.insert('runs', {
    ...latest,
    ...FRESH_RUN,
    id,
    number,
    kind: 'promotion',
    pushKey: id,
    repository: release.commit.repository,
    sha: release.commit.sha,
    committedAt: release.commit.committedAt,
    actor: request.actor.name,
    version: release.version,
    metadata: release.metadata,
    health: release.health,
    targetRing: step.to,
    stage: `rollout:${step.to}`,
    createdAt: at,
    updatedAt: at,
  });
  return id;
};

/** Asks for what a ring runs now to be given to the next one. A row that names ring and sequence; the guard decides when the rollout is planned. */
export const promote = async ({ records, catalog, clock, wakeRun }: CommandPorts, request: PromoteRequest): Promise<Promoted> => {
  const promoted = await records.transaction(async (transaction) => {
    await transaction.lock(`app:${request.app}`);
    const latest = await readLatestRun(transaction, catalog, request.app, request.role);
    const { app, role } = latest;
    const step = chooseStep(latest, await transaction.list('rings', { where: { app, role } }), request.ring);
    refuseUnlessVerified(step, request.ifCanary);
    const open = await transaction.list('runs', { where: { app, role, state: ['active', 'waiting'] } });
    // One that waits and was cancelled a moment ago promotes nothing any more; a rollout under way goes on.
    const going = open.filter((run) => run.cancelRequestedBy === null || (run.state === 'active' && run.stage === `rollout:${step.to}`));
    await refuseWhileWatched(transaction, { latest, open }, step);
    const asked = await transaction.list('promotions', { where: { ring: step.to, sequence: step.from.sequence } });
    const already = going.find((run) => asked.some((each) => each.runId === run.id));
    if (already !== undefined) return { runId: already.id, ring: step.to, version: step.from.version };
    const at = clock.now();
    const own = going.find((run) => awaitsPromotion(run, step));
    const runId = own?.id ?? (await insertPromotionRun(transaction, latest, step, request, at.toISOString()));
    const row: PromotionRow = {
      runId,
      ring: step.to,
      sequence: step.from.sequence,
      version: step.from.version,
      actor: request.actor.name,
      reason: request.reason ?? null,
      createdAt: at.toISOString(),
    };
    if (!(await transaction.insert('promotions', row))) await transaction.update('promotions', { runId, ring: step.to }, row);
    const detail = { ring: step.to, version: step.from.version, sequence: step.from.sequence, why: request.reason ?? null };
    await appendAudit(transaction, { at, actor: request.actor, action: 'run.promote', subject: runId, detail });
    return { runId, ring: step.to, version: step.from.version };
  });
  wakeRun(promoted.runId);
  return promoted;
};
