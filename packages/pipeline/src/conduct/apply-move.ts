import { assertNever, type Json, type RingName } from '@pipit/core';
import { appendAudit, openAudit, PIPIT_ACTOR } from '../audit.js';
import { markKnownNotice } from '../notices/mark-notice.js';
import { OPERATION_VERSIONS } from '../operations/operation-codes.js';
import { abandonRun } from '../operations/verify-rollout.js';
import type { RecordsTransaction } from '../ports/records.js';
import { operationIdOf, type RunId } from '../records/ids.js';
import type { LockRow, OperationRow, RunRow } from '../records/rows.js';
import type { Stage } from '../stages/plan-stages.js';
import { type Move, type RunView, stageOf } from './decide.js';
import { installLockOf } from './locks.js';

export interface Applied {
  /** To submit to the engine once the transaction is durable. */
  readonly operation?: OperationRow;
  /** What changes of the run's own row. Not stored yet: the moves of one transaction are one write of it. */
  readonly changes: Partial<RunRow>;
  /** What the run is to be decided by at once; `anew` where others stored what that looks at. Absent where it goes on later. */
  readonly next?: RunView | 'anew';
  /** Other runs that may go on now. */
  readonly wake: readonly RunId[];
}

const inputOf = (stage: Stage, view: RunView): Json => {
  switch (stage.kind) {
    case 'operation': {
      if (stage.operation !== 'package') return {};
      // Of whichever attempt: a retried package takes what the build before it made.
      const build = view.operations.find((each) => each.stage === 'build' && each.state === 'succeeded');
      const result = build?.result as { outputs?: Json } | null | undefined; // the build operation's own result
      return { outputs: result?.outputs ?? [] };
    }
    case 'rollout':
      return { ring: stage.ring, purpose: 'forward' };
    case 'rollback':
      return { ring: stage.ring, purpose: 'rollback' };
    case 'bake':
      return { ring: stage.ring };
    case 'promotion':
      return {};
    default:
      return assertNever(stage);
  }
};

const releaseLocks = async (transaction: RecordsTransaction, run: RunRow, locks: readonly LockRow[]): Promise<readonly RunId[]> => {
  const own = locks.filter((lock) => lock.runId === run.id);
  if (own.length === 0) return [];
  for (const { name } of own) transaction.sendWithCommit(transaction.remove('locks', { name }));
  const waiting = await transaction.list('runs', {
    where: { app: run.app, role: run.role, state: 'waiting', waitingFor: 'rollout-lock' },
    orderBy: ['number', 'descending'],
  });
  return waiting.map((each) => each.id);
};

const NO_WAIT = { waitingFor: null, dueAt: null, waitedMs: 0, dueAfterMs: null } as const;

interface Ending {
  readonly outcome: NonNullable<RunRow['outcome']>;
  readonly reason: string;
  readonly at: Date;
}

const endingOf = ({ outcome, reason, at: time }: Ending): Partial<RunRow> => {
  const at = time.toISOString();
  return { state: 'ended', outcome, reason, ...NO_WAIT, endedAt: at, updatedAt: at };
};

const readLocks = (transaction: RecordsTransaction, run: RunRow): Promise<readonly LockRow[]> =>
  transaction.list('locks', { where: { runId: run.id } });

/** What a run leaves unfinished, or nobody watched to the end, counts as failed: neither a promotion nor a rollback rests on it. */
const abandon = async (transaction: RecordsTransaction, run: RunRow, { outcome, reason, at }: Ending): Promise<void> => {
  const waiting = await transaction.list('operations', { where: { runId: run.id, state: 'waiting' } });
  for (const { id } of waiting) await transaction.update('operations', { id }, { state: 'failed', endedAt: at.toISOString() });
  const stage = stageOf(run);
  if (stage === undefined || stage.kind === 'operation' || stage.kind === 'promotion' || outcome === 'succeeded') return;
  // A rollout that a rollback waits behind has ended well, and is not watched any more.
  await abandonRun(transaction, { run, unwatched: stage.kind === 'rollback' ? undefined : stage.ring }, reason, at.toISOString());
};

/** Ends a run within a transaction: one that another run supersedes, or that a person takes back. */
export const endRun = async (transaction: RecordsTransaction, run: RunRow, ending: Ending): Promise<readonly RunId[]> => {
  transaction.sendWithCommit(transaction.update('runs', { id: run.id }, endingOf(ending)));
  const [locks] = await Promise.all([readLocks(transaction, run), abandon(transaction, run, ending)]);
  return releaseLocks(transaction, run, locks);
};

const listWaiting = (transaction: RecordsTransaction, { app, role }: RunRow): Promise<readonly RunRow[]> =>
  transaction.list('runs', { where: { app, role, state: 'waiting', waitingFor: 'promotion' } });

const supersede = async (
  transaction: RecordsTransaction,
  { waiting, by, at }: { readonly waiting: readonly RunRow[]; readonly by: RunRow; readonly at: Date },
): Promise<void> => {
  for (const other of waiting.filter((each) => each.id !== by.id)) {
    await endRun(transaction, other, { outcome: 'superseded', reason: `Run ${by.id} took over the canary`, at });
    await markKnownNotice(transaction, other.id, at.toISOString());
    await appendAudit(transaction, { at, actor: PIPIT_ACTOR, action: 'run.supersede', subject: other.id, detail: { by: by.id } });
  }
};

/** A promotion that a person asked for is on the trail already; one that the policy lets through is pipit's own act. */
const auditAutomaticPromotion = async (
  transaction: RecordsTransaction,
  { run, promotions, now }: RunView,
  ring: RingName,
): Promise<void> => {
  if (promotions.some((each) => each.ring === ring)) return;
  const detail = { ring, version: run.version, why: 'its promotion is automatic' };
  await appendAudit(transaction, { at: now, actor: PIPIT_ACTOR, action: 'run.promote', subject: run.id, detail });
};

/** Stores a move, but for the run's own row. Everything it says becomes true in the one transaction. */
export const applyMove = async (transaction: RecordsTransaction, view: RunView, move: Move): Promise<Applied> => {
  const { run, now } = view;
  const at = now.toISOString();
  const going = { state: 'active', waitingFor: null, dueAt: null, reason: null, updatedAt: at } as const;
  const active = { ...going, ...NO_WAIT } as const;
  switch (move.type) {
    case 'none':
      return { changes: {}, wake: [] };
    case 'start': {
      const operation: OperationRow = {
        id: operationIdOf(run.id, move.stage.name, run.attempt),
        runId: run.id,
        stage: move.stage.name,
        type: move.operation,
        version: OPERATION_VERSIONS[move.operation],
        state: 'pending',
        input: inputOf(move.stage, view),
        result: null,
        error: null,
        attempt: run.attempt,
        round: 1,
        createdAt: at,
        startedAt: null,
        endedAt: null,
      };
      transaction.sendWithCommit(transaction.insert('operations', operation));
      return { operation, changes: { ...active, stage: move.stage.name }, wake: [] };
    }
    case 'complete': {
      const changes = { ...active, stage: move.stage.name, completedStages: [...run.completedStages, move.stage.name] };
      const done = view.locks.filter((lock) => lock.runId === run.id && move.releases.includes(lock.name));
      const [wake] = await Promise.all([
        releaseLocks(transaction, run, done),
        move.stage.kind === 'promotion' ? auditAutomaticPromotion(transaction, view, move.stage.ring) : undefined,
      ]);
      const locks = view.locks.filter((lock) => !done.includes(lock));
      return { changes, next: { ...view, run: { ...run, ...changes }, locks }, wake };
    }
    case 'lock': {
      const missing = move.names.filter((name) => !view.locks.some((lock) => lock.name === name));
      const locks = missing.map((name): LockRow => ({ name, runId: run.id, reason: move.reason, since: at }));
      // What has been waited for the outside counts on: the lock is for the next round.
      const changes = { ...going, stage: move.stage.name };
      // Asked together: one round trip.
      const [taken, waiting] = await Promise.all([
        transaction.insertAll('locks', locks),
        move.supersede ? listWaiting(transaction, run) : [],
      ]);
      if (taken.includes(false)) {
        await releaseLocks(
          transaction,
          run,
          locks.filter((_lock, index) => taken[index]),
        );
        return { changes, next: 'anew', wake: [] };
      }
      await supersede(transaction, { waiting, by: run, at: now });
      return { changes, next: { ...view, run: { ...run, ...changes }, locks: [...view.locks, ...locks] }, wake: [] };
    }
    case 'wait': {
      const { stage, dueAt, dueAfterMs, reason } = move;
      const waiting = { state: 'waiting', stage: stage.name, waitingFor: move.for, dueAt, dueAfterMs, reason } as const;
      // Who waits for the outside keeps nobody's rollback from its hosts.
      const held = move.for === 'outside' ? view.locks.filter(({ name }) => name === installLockOf(run)) : [];
      const wake = await releaseLocks(transaction, run, held);
      return { changes: { ...waiting, waitedMs: view.waitedMs, updatedAt: at }, wake };
    }
    case 'resume': {
      const operation: OperationRow = { ...move.operation, state: 'pending', error: null, round: move.operation.round + 1 };
      const { state, error, round } = operation;
      transaction.sendWithCommit(transaction.update('operations', { id: operation.id }, { state, error, round }));
      return { operation, changes: { ...going, stage: move.stage.name, waitedMs: view.waitedMs, dueAfterMs: null }, wake: [] };
    }
    case 'roll-back': {
      const changes = { ...active, stage: move.stage.name, failure: move.failure };
      const detail = { stage: move.stage.name, why: move.failure.message };
      await abandon(transaction, run, { outcome: 'rolled-back', reason: move.failure.message, at: now });
      await appendAudit(transaction, { at: now, actor: PIPIT_ACTOR, action: 'run.roll-back', subject: run.id, detail });
      return { changes, next: { ...view, run: { ...run, ...changes } }, wake: [] };
    }
    case 'end': {
      const { outcome, reason } = move;
      const ending = { outcome, reason, at: now };
      const [locks, append] = await Promise.all([readLocks(transaction, run), openAudit(transaction), abandon(transaction, run, ending)]);
      append({ at: now, actor: PIPIT_ACTOR, action: 'run.end', subject: run.id, detail: { outcome, reason } });
      const wake = await releaseLocks(transaction, run, locks);
      return { changes: endingOf(ending), wake };
    }
    default:
      return assertNever(move);
  }
};
