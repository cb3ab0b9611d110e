import type { RingName } from '@pipit/core';
import { stricterPolicy } from '../guard/stricter-policy.js';
import type {
  ErrorRecord,
  LockRow,
  OperationRow,
  PromotionRow,
  RingPolicy,
  RingRow,
  RolloutRow,
  RunOutcome,
  RunRow,
  WaitKind,
} from '../records/rows.js';
import { nextStage, planStages, rollbackStage, type Stage } from '../stages/plan-stages.js';
import { describeLock, installLockOf, ringLockOf } from './locks.js';

/** All that a decision about a run looks at, read in one transaction. */
export interface RunView {
  readonly run: RunRow;
  /** All operations of the run, of earlier attempts too; see {@link operationAt}. */
  readonly operations: readonly OperationRow[];
  /** For how long the stage has been watched, or has waited for the outside, until now. */
  readonly waitedMs: number;
  /** For how long what may pass is waited for before the run fails. */
  readonly patienceMs: number;
  /** The locks of the run's app and role, whoever holds them. */
  readonly locks: readonly LockRow[];
  /** Other open runs of the app and role that bring a ring back. They go before every forward rollout. */
  readonly rollbacks: readonly RunRow[];
  readonly promotions: readonly PromotionRow[];
  readonly rings: readonly RingRow[];
  /** Rollouts of this run. */
  readonly rollouts: readonly RolloutRow[];
  /** Today's policies of the run's rings. */
  readonly policies: readonly RingPolicy[];
  /** Another run of this app and role, with a greater number, that waits for the lock or has had its canary. */
  readonly newerRun: RunRow | undefined;
  readonly now: Date;
}

type RingStage = Stage & { readonly kind: 'rollout' | 'rollback' };

/** What to do next about a run. */
export type Move =
  | { readonly type: 'none' }
  | { readonly type: 'start'; readonly stage: Stage; readonly operation: OperationRow['type'] }
  /** `releases`: names of the locks that the run is done with. */
  | { readonly type: 'complete'; readonly stage: Stage; readonly releases: readonly string[] }
  /** Takes locks; for the first ring this supersedes, in the same transaction, the runs that wait for promotion. */
  | {
      readonly type: 'lock';
      readonly stage: Stage;
      readonly names: readonly string[];
      readonly reason: string;
      readonly supersede: boolean;
    }
  /** `dueAfterMs`: it ends by itself when `waitedMs` reaches that. */
  | {
      readonly type: 'wait';
      readonly stage: Stage;
      readonly for: WaitKind;
      readonly dueAt: string | null;
      readonly dueAfterMs: number | null;
      readonly reason: string;
    }
  /** Executes an operation again that waited for a fault to pass. */
  | { readonly type: 'resume'; readonly stage: Stage; readonly operation: OperationRow }
  /** Turns aside: the ring goes back, then the run ends. */
  | { readonly type: 'roll-back'; readonly stage: Stage; readonly failure: ErrorRecord }
  | { readonly type: 'end'; readonly outcome: RunOutcome; readonly reason: string };

/** The operation of a stage in the run's current attempt. */
export const operationAt = ({ run, operations }: Pick<RunView, 'run' | 'operations'>, stage: Stage): OperationRow | undefined =>
  operations.find((each) => each.stage === stage.name && each.attempt === run.attempt);

/** How long a fault that may pass is waited for before the next round: soon at first, then each minute. */
const ROUND_WAIT = { firstMs: 5_000, longestMs: 60_000 } as const;

const waitFor = (
  view: RunView,
  stage: Stage,
  wait: { readonly for: WaitKind; readonly dueAfterMs: number; readonly reason: string },
): Move => {
  const leftMs = Math.max(0, wait.dueAfterMs - view.waitedMs);
  return { type: 'wait', stage, ...wait, dueAt: new Date(view.now.getTime() + leftMs).toISOString() };
};

/**
 * What becomes of an operation that failed by something that may pass: the next round when that is due, as long as there is patience. A run that is
 * to end, or to give way, waits for nothing: then `giveUp` says what its failure means.
 */
const decideWaiting = (
  view: RunView,
  {
    stage,
    operation,
    giveUp,
  }: { readonly stage: Stage; readonly operation: OperationRow; readonly giveUp: (failed: OperationRow) => Move },
): Move => {
  const { run, waitedMs, patienceMs } = view;
  const error = errorOf(operation);
  const because = (why: string): OperationRow => ({ ...operation, error: { ...error, message: `${error.message}; ${why}` } });
  if (run.cancelRequestedBy !== null && run.failure === null)
    return giveUp(because(`cancelled by ${run.cancelRequestedBy} while that was waited for`));
  const isFresh = run.dueAfterMs === null;
  if (isFresh && waitedMs >= patienceMs)
    return giveUp(patienceMs === 0 ? operation : because(`still so after ${operation.round} rounds within ${describeMs(patienceMs)}`));
  const delayMs = Math.min(ROUND_WAIT.longestMs, ROUND_WAIT.firstMs * 2 ** (operation.round - 1));
  const dueAfterMs = run.dueAfterMs ?? Math.min(patienceMs, waitedMs + delayMs);
  if (!isFresh && waitedMs >= dueAfterMs) return { type: 'resume', stage, operation };
  const reason = `${stage.name} waits until this has passed, for ${describeMs(patienceMs)} at most: ${error.message}${error.hint === undefined ? '' : `. ${error.hint}`}`;
  return waitFor(view, stage, { for: 'outside', dueAfterMs, reason });
};

/** `90 s`, `15 min`, `2 h`: the greatest unit that comes out even. */
const describeMs = (ms: number): string => {
  const seconds = Math.round(ms / 1000);
  if (seconds % 3600 === 0 && seconds > 0) return `${seconds / 3600} h`;
  return seconds % 60 === 0 && seconds > 0 ? `${seconds / 60} min` : `${seconds} s`;
};

const errorOf = (operation: OperationRow): ErrorRecord =>
  operation.error ?? { code: 'OPERATION_FAILED', message: `${operation.type} ended as ${operation.state}` };

const sentence = (failure: ErrorRecord): string => failure.message;

const policyOf = (view: RunView, ring: RingName): RingPolicy | undefined => {
  const then = view.run.rings.find((each) => each.name === ring);
  return (
    then &&
    stricterPolicy(
      then,
      view.policies.find((each) => each.name === ring),
    )
  );
};

const ownRollout = (view: RunView, ring: RingName): RolloutRow | undefined =>
  view.rollouts.filter((each) => each.ring === ring && each.purpose === 'forward').at(-1);

/** A forward rollout also takes its ring, until its bake is over; a rollback takes the ring from nobody and waits for no bake. */
const locksFor = ({ run }: RunView, stage: RingStage): readonly string[] => [
  installLockOf(run),
  ...(stage.kind === 'rollback' ? [] : [ringLockOf(run, stage.ring)]),
];

const holderOf = (view: RunView, name: string): LockRow | undefined => view.locks.find((lock) => lock.name === name);

/** Whether the operation has planned its rollout, so that the ring may be half on its release. */
const hasBegun = (view: RunView, operation: OperationRow | undefined): boolean =>
  operation !== undefined && view.rollouts.some((each) => each.operationId === operation.id);

const owns = (view: RunView, stage: RingStage): boolean =>
  locksFor(view, stage).every((name) => holderOf(view, name)?.runId === view.run.id);

/** The run that brings this ring back, if another one is to. */
const rollbackOf = (view: RunView, ring: RingName): RunRow | undefined =>
  view.rollbacks.find((each) => each.stage === rollbackStage(ring).name);

/** Ends a run whose release a person takes out of the ring. */
const giveWay = (ring: RingName, to: RunRow, failure?: ErrorRecord): Move => ({
  type: 'end',
  outcome: 'rolled-back',
  reason: `${failure === undefined ? '' : `${sentence(failure)}; `}${to.actor ?? 'pipit'} rolls ${ring} back (run ${to.id})`,
});

const decideOperation = (view: RunView, stage: Stage & { kind: 'operation' }): Move => {
  const operation = operationAt(view, stage);
  if (operation === undefined)
    return view.run.cancelRequestedBy === null
      ? { type: 'start', stage, operation: stage.operation }
      : { type: 'end', outcome: 'cancelled', reason: `Cancelled by ${view.run.cancelRequestedBy}` };
  switch (operation.state) {
    case 'pending':
    case 'running':
      return { type: 'none' };
    case 'waiting':
      return decideWaiting(view, { stage, operation, giveUp: (failed) => endBy(view, failed) });
    case 'succeeded':
      return { type: 'complete', stage, releases: [] };
    case 'cancelled': {
      const { cancelRequestedBy } = view.run;
      // Somebody may have stopped the build in the CI itself: then its reason is the one that explains the end.
      const reason = cancelRequestedBy === null ? sentence(errorOf(operation)) : `Cancelled by ${cancelRequestedBy}`;
      return { type: 'end', outcome: 'cancelled', reason };
    }
    case 'failed':
      return endBy(view, operation);
  }
};

const endBy = ({ run }: RunView, operation: OperationRow): Move =>
  run.cancelRequestedBy === null
    ? { type: 'end', outcome: 'failed', reason: sentence(errorOf(operation)) }
    : { type: 'end', outcome: 'cancelled', reason: `Cancelled by ${run.cancelRequestedBy}` };

/** Waits for the locks, or takes them. A rollback goes before forward runs; of these the newest, and an older one ends as superseded. */
const decideLock = (view: RunView, stage: RingStage): Move => {
  const { run, newerRun } = view;
  const isForward = stage.kind === 'rollout';
  // Half of a rollout that waited for the outside goes on to its end: a newer run never interrupts it.
  const supersede = run.rings[0]?.name === stage.ring && isForward && !hasBegun(view, operationAt(view, stage));
  // A run that failed in a ring takes it back, cancelled or not.
  if (run.cancelRequestedBy !== null && run.failure === null)
    return { type: 'end', outcome: 'cancelled', reason: `Cancelled by ${run.cancelRequestedBy}` };
  if (supersede && newerRun !== undefined)
    return { type: 'end', outcome: 'superseded', reason: `Run ${newerRun.id} is newer and goes first` };
  const names = locksFor(view, stage);
  const [first] = isForward ? view.rollbacks : [];
  const held = names.map((name) => holderOf(view, name)).find((lock) => lock !== undefined && lock.runId !== run.id);
  if (held === undefined && first === undefined) return { type: 'lock', stage, names, reason: `${stage.kind} of ${stage.ring}`, supersede };
  const reason = held === undefined ? `Run ${first?.id} goes first: it does ${first?.stage}` : describeLock(held);
  return { type: 'wait', stage, for: 'rollout-lock', dueAt: null, dueAfterMs: view.run.dueAfterMs, reason };
};

/** Failures that say only that something newer is there: going back would write over it. */
const OVERTAKEN = new Set(['ADVERTISE_SUPERSEDED', 'PROMOTION_OVERTAKEN']);

const turnAside = (view: RunView, ring: RingName, operation: OperationRow): Move => {
  const started = view.run.stage === `bake:${ring}` || hasBegun(view, operation);
  const policy = policyOf(view, ring);
  const failure = errorOf(operation);
  if (OVERTAKEN.has(failure.code)) return { type: 'end', outcome: 'superseded', reason: sentence(failure) };
  if (!started && (operation.state === 'cancelled' || view.run.cancelRequestedBy !== null))
    return { type: 'end', outcome: 'cancelled', reason: `Cancelled by ${view.run.cancelRequestedBy ?? 'pipit'}` };
  // A rollout that was refused before anything was planned has changed nothing, so nothing goes back.
  if (!started) return { type: 'end', outcome: 'failed', reason: sentence(failure) };
  const back = rollbackOf(view, ring);
  if (back !== undefined) return giveWay(ring, back, failure);
  if (policy?.onFailure === 'stop')
    return { type: 'end', outcome: 'failed', reason: `${sentence(failure)} (${ring} is left as it is: onFailure is stop)` };
  return { type: 'roll-back', stage: rollbackStage(ring), failure };
};

/** A wait for the outside holds no install lock, so the next round takes it again. */
const afterLock = (view: RunView, stage: RingStage, move: Move): Move =>
  move.type === 'resume' && !owns(view, stage) ? decideLock(view, stage) : move;

const decideRollout = (view: RunView, stage: Stage & { kind: 'rollout' }): Move => {
  const operation = operationAt(view, stage);
  if (operation === undefined) return owns(view, stage) ? { type: 'start', stage, operation: 'rollout' } : decideLock(view, stage);
  const back = rollbackOf(view, stage.ring);
  const giveUp = (failed: OperationRow): Move => turnAside(view, stage.ring, failed);
  switch (operation.state) {
    case 'pending':
    case 'running':
      return { type: 'none' };
    case 'waiting': {
      // Half of a rollout gives way to the person who takes the ring back; one that has not begun waits behind that.
      if (back !== undefined && hasBegun(view, operation)) return giveUp(operation);
      return afterLock(view, stage, decideWaiting(view, { stage, operation, giveUp }));
    }
    case 'succeeded':
      // The rollback that waited behind this install is next: nothing is watched, and nothing further is given to anybody.
      return back === undefined ? { type: 'complete', stage, releases: [installLockOf(view.run)] } : giveWay(stage.ring, back);
    case 'cancelled':
    case 'failed':
      return turnAside(view, stage.ring, operation);
  }
};

const decideBake = (view: RunView, stage: Stage & { kind: 'bake' }): Move => {
  const { run } = view;
  const releases = [installLockOf(run), ringLockOf(run, stage.ring)];
  const back = rollbackOf(view, stage.ring);
  if (back !== undefined) return giveWay(stage.ring, back);
  const rollout = ownRollout(view, stage.ring);
  const policy = policyOf(view, stage.ring);
  const endedAt = rollout?.endedAt ?? null;
  if (policy === undefined || endedAt === null)
    return { type: 'end', outcome: 'failed', reason: `Ring ${stage.ring} has no completed rollout of this run` };
  if (policy.bakeMs === 0) return { type: 'complete', stage, releases };
  if (run.cancelRequestedBy !== null && operationAt(view, stage)?.state !== 'failed')
    return { type: 'end', outcome: 'cancelled', reason: `Cancelled by ${run.cancelRequestedBy} before the bake of ${stage.ring} was over` };
  const operation = operationAt(view, stage);
  if (operation === undefined) {
    const { bakeMs } = policy;
    if (view.waitedMs < bakeMs)
      return waitFor(view, stage, { for: 'bake', dueAfterMs: bakeMs, reason: `${stage.ring} is watched for ${describeMs(bakeMs)}` });
    return { type: 'start', stage, operation: 'watch' };
  }
  switch (operation.state) {
    case 'pending':
    case 'running':
      return { type: 'none' };
    case 'waiting':
      return decideWaiting(view, { stage, operation, giveUp: (failed) => turnAside(view, stage.ring, failed) });
    case 'succeeded':
      return { type: 'complete', stage, releases };
    case 'cancelled':
    case 'failed':
      return turnAside(view, stage.ring, operation);
  }
};

const decidePromotion = (view: RunView, stage: Stage & { kind: 'promotion' }): Move => {
  const { run } = view;
  const back = rollbackOf(view, stage.from);
  if (back !== undefined) return giveWay(stage.from, back);
  const rollout = ownRollout(view, stage.from);
  const before = view.rings.find((each) => each.ring === stage.from);
  if (rollout === undefined || before === undefined || before.sequence !== rollout.sequence)
    return { type: 'end', outcome: 'superseded', reason: `Ring ${stage.from} has had another rollout since` };
  if (run.cancelRequestedBy !== null) return { type: 'end', outcome: 'cancelled', reason: `Cancelled by ${run.cancelRequestedBy}` };
  const asked = view.promotions.some((each) => each.ring === stage.ring && each.sequence === before.sequence);
  if (asked || policyOf(view, stage.ring)?.promotion === 'automatic') return { type: 'complete', stage, releases: [] };
  return {
    type: 'wait',
    stage,
    for: 'promotion',
    dueAt: null,
    dueAfterMs: null,
    reason: `${stage.from} runs ${rollout.version}; waiting for its promotion to ${stage.ring}`,
  };
};

const decideRollback = (view: RunView, stage: Stage & { kind: 'rollback' }): Move => {
  const operation = operationAt(view, stage);
  if (operation === undefined) return owns(view, stage) ? { type: 'start', stage, operation: 'rollout' } : decideLock(view, stage);
  const { failure } = view.run;
  const giveUp = (failed: OperationRow): Move => {
    const why = sentence(errorOf(failed));
    const reason = failure === null ? why : `${sentence(failure)}; the rollback of ${stage.ring} failed too: ${why}`;
    return { type: 'end', outcome: 'failed', reason };
  };
  switch (operation.state) {
    case 'pending':
    case 'running':
      return { type: 'none' };
    case 'waiting': {
      // Half of it never stays behind because of a cancel: it goes on, or the patience ends.
      const deaf = hasBegun(view, operation) ? { ...view, run: { ...view.run, cancelRequestedBy: null } } : view;
      return afterLock(deaf, stage, decideWaiting(deaf, { stage, operation, giveUp }));
    }
    case 'succeeded': {
      const target = view.rollouts.filter((each) => each.ring === stage.ring && each.purpose === 'rollback').at(-1);
      const back = `${stage.ring} is back on ${target?.version ?? 'its release before'}`;
      // A rollback that a person asked for has done what it was to do.
      return failure === null
        ? { type: 'end', outcome: 'succeeded', reason: back }
        : { type: 'end', outcome: 'rolled-back', reason: `${sentence(failure)}; ${back}` };
    }
    case 'cancelled':
    case 'failed':
      return giveUp(operation);
  }
};

/** The stage that a run is at: undefined when it has been through all of them. */
export const stageOf = (run: RunRow): Stage | undefined => {
  // A run that turned aside is at a stage that is not in its plan.
  const aside =
    run.failure === null ? undefined : run.rings.map((ring) => rollbackStage(ring.name)).find((stage) => stage.name === run.stage);
  return aside ?? nextStage(planStages(run), run.completedStages);
};

/** The whole state machine of a run, drawn in docs/run-states.md: pure, so every path is a row of a table in its test. */
export const decide = (view: RunView): Move => {
  const { run } = view;
  if (run.state === 'ended') return { type: 'none' };
  const stage = stageOf(run);
  if (stage === undefined)
    return {
      type: 'end',
      outcome: 'succeeded',
      reason: `${run.version ?? run.sha.slice(0, 7)} runs in ${run.rings.at(-1)?.name ?? 'every ring'}`,
    };
  switch (stage.kind) {
    case 'operation':
      return decideOperation(view, stage);
    case 'rollout':
      return decideRollout(view, stage);
    case 'bake':
      return decideBake(view, stage);
    case 'promotion':
      return decidePromotion(view, stage);
    case 'rollback':
      return decideRollback(view, stage);
  }
};
