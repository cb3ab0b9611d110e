import { setMaxListeners } from 'node:events';
import type { Logger } from '@pipit/core';
import type { Hints } from '../hints.js';
import { judgeEvent } from '../intake/handle-event.js';
import { markNotice } from '../notices/mark-notice.js';
import { createNoticeSender } from '../notices/send-notices.js';
import { abandonRollout } from '../operations/verify-rollout.js';
import type { PipelineClock } from '../ports/clock.js';
import type { Engine } from '../ports/engine.js';
import type { MovePoint, PipelineObserver } from '../ports/observer.js';
import type { Effects, PipelineCatalog, Sources } from '../ports/parts.js';
import type { Records, RecordsReader, RecordsTransaction } from '../ports/records.js';
import { executionIdOf, type RunId } from '../records/ids.js';
import { pipelineOfRun } from '../records/pipeline-of-run.js';
import type { OperationRow, RunRow } from '../records/rows.js';
import { type Applied, applyMove } from './apply-move.js';
import { decide, type Move, type RunView, stageOf } from './decide.js';
import { createEventLanes } from './event-lanes.js';
import { createJanitor } from './janitor.js';
import { looksAtAll, readView } from './read-view.js';
import { createStopwatch } from './stopwatch.js';

export interface ConductorPorts {
  readonly records: Records;
  readonly engine: Engine;
  readonly catalog: PipelineCatalog;
  readonly sources: Sources;
  readonly effects: Pick<Effects, 'removeFolder' | 'run'>;
  readonly random: () => number;
  readonly clock: PipelineClock;
  readonly hints: Hints;
  readonly logger: Logger;
  readonly observer: PipelineObserver;
  /** Told after each change of a run, for live views. */
  readonly onChange: (runId: RunId) => void;
}

export interface ConductorOptions {
  /** How often everything is looked at again, whoever did or did not tell; milliseconds. Default 1,000. */
  readonly sweepMs?: number;
}

export interface Conductor {
  start(): void;
  /** Handles a lane's events now, and not at the next sweep; see `laneOf`. */
  wakeLane(lane: string): void;
  wakeRun(runId: RunId): void;
  /** Starts one look at each lane of events, run, operation and clean-up; waits for none of what belongs to an app. */
  sweep(): Promise<void>;
  /** No new move begins; returns when the ones under way are stored. */
  stop(): Promise<void>;
}

/** Moves a run may make at once: far more than it has stages, so reaching it is a fault. */
const MAX_MOVES = 100;
/**
 * Walks runs through their stages. It holds no state of its own: each decision is made anew from rows, in one transaction, so it may be killed anywhere,
 * and any number of replicas may conduct.
 */
export const createConductor = (ports: ConductorPorts, options: ConductorOptions = {}): Conductor => {
  const { records, engine, catalog, clock, logger, observer } = ports;
  const sweepMs = options.sweepMs ?? 1_000;
  const stopping = new AbortController();
  // Everything that sleeps listens to it.
  setMaxListeners(0, stopping.signal);
  const underWay = new Map<string, Promise<void>>();
  const askedAgain = new Set<string>();
  const janitor = createJanitor({ ...ports, stopping: stopping.signal });
  const notices = createNoticeSender({ ...ports, stopping: stopping.signal });
  const stopwatch = createStopwatch(clock);
  let loop: Promise<void> | undefined;

  const readQuarantine = () => records.get('settings', { name: 'quarantine' });
  const isQuarantined = async (): Promise<boolean> => (await readQuarantine()) !== undefined;

  const submit = (operation: OperationRow): Promise<void> =>
    engine.submit({ id: executionIdOf(operation), type: operation.type, version: operation.version, input: operation.input });

  /** Stores, in one transaction, every move that a run can make by itself now: up to the start of an operation, a wait or its end. */
  const advance = async (runId: RunId): Promise<void> => {
    const [quarantine, found] = await Promise.all([readQuarantine(), records.get('runs', { id: runId })]);
    if (quarantine !== undefined || found === undefined || found.state === 'ended') return;
    let last: Applied | undefined;
    let counted: number | undefined;
    const isTold = (pipelineOfRun(catalog, found)?.notifiers.length ?? 0) > 0;
    // An operation that is to start is submitted next, which is durable and with it everything stored before; what nothing follows is durable by itself.
    const durable = () => (last !== undefined && last.operation === undefined ? 'at once' : 'soon');
    const look = async (reader: RecordsReader, run: RunRow): Promise<RunView> => readView(reader, run, catalog, clock.now());
    const timed = (view: RunView): RunView => ({ ...view, waitedMs: stopwatch.read(view) });
    const store = async (transaction: RecordsTransaction) => {
      const stored: (Applied & { readonly point: Omit<MovePoint, 'phase'> })[] = [];
      last = undefined;
      counted = undefined;
      // As it was before the lock: the view is asked for together with the lock, and anew where the run was another by then.
      const [, locked, ahead] = await Promise.all([
        transaction.lock(`app:${found.app}`),
        transaction.get('runs', { id: runId }),
        look(transaction, found),
      ]);
      if (locked === undefined) return stored;
      let view = timed(isSameStage(found, locked) ? { ...ahead, run: locked } : await look(transaction, locked));
      let changes: Partial<RunRow> = {};
      while (stored.length < MAX_MOVES) {
        const { run } = view;
        const move = decide(view);
        if (move.type === 'none') break;
        if (isSameWait(run, move)) {
          // Nothing has changed but the time: what was counted is kept now and then, so that a restart does not begin at nought.
          if (isCheckpoint(run, view, move)) changes = { ...changes, waitedMs: view.waitedMs, dueAt: move.dueAt };
          break;
        }
        if (isTold && stored.length === 0) await markNotice(transaction, runId, clock.now().toISOString());
        const point = { runId, move: move.type, stage: 'stage' in move ? move.stage.name : run.stage };
        observer.onMove?.({ ...point, phase: 'decided' });
        const applied = await applyMove(transaction, view, move);
        last = applied;
        stored.push({ point, ...applied });
        changes = { ...changes, ...applied.changes };
        if (applied.next === undefined) break;
        // Under the lock a view stays what it is, but for what the move itself stored. A later stage may look at more.
        const now = clock.now();
        const next: RunRow = { ...run, ...applied.changes };
        view = timed(
          applied.next !== 'anew' && (looksAtAll(run) || !looksAtAll(next)) ? { ...applied.next, now } : await look(transaction, next),
        );
      }
      counted = changes.waitedMs;
      if (Object.keys(changes).length > 0) transaction.sendWithCommit(transaction.update('runs', { id: runId }, changes));
      return stored;
    };
    const moves = await records.transaction(store, { durable });
    if (counted !== undefined) stopwatch.saved(runId, counted);
    for (const { point } of moves) observer.onMove?.({ ...point, phase: 'stored' });
    if (moves.length > 0) {
      ports.onChange(runId);
      if (isTold) tellPeople();
    }
    for (const { operation, wake } of moves) {
      if (operation !== undefined) await submit(operation);
      for (const other of wake) wakeRun(other);
    }
  };

  const tellPeople = (): void => serially('notices', notices.sweep);

  /** One at a time for a key; asked again meanwhile, once more after. */
  const serially = (key: string, work: () => Promise<unknown>): void => {
    if (stopping.signal.aborted) return;
    if (underWay.has(key)) {
      askedAgain.add(key);
      return;
    }
    const done = work()
      .then(
        () => undefined,
        (error: unknown) => logger.warn({ key, error }, 'Not moved on; the next sweep tries again'),
      )
      .finally(() => {
        underWay.delete(key);
        if (askedAgain.delete(key)) serially(key, work);
      });
    underWay.set(key, done);
  };

  const wakeRun = (runId: RunId): void => serially(`run ${runId}`, () => advance(runId));

  const lanes = createEventLanes({
    ...ports,
    stopping: stopping.signal,
    judge: (event, signal) => judgeEvent(ports, event, signal),
    onHandled: ({ runId }) => {
      if (runId === null) return;
      ports.onChange(runId);
      wakeRun(runId);
    },
  });

  /** Operations that the engine does not know (killed between storing and submitting) or gave up. */
  const reconcile = async (operation: OperationRow): Promise<void> => {
    const found = await engine.inspect(executionIdOf(operation));
    if (found.state === 'unknown') return submit(operation);
    if (found.state === 'unfinished') return;
    // Its code ends by recording the row, so a row that is still open under an ended execution says that the record is gone or never fitted.
    const run = await records.get('runs', { id: operation.runId });
    if (run === undefined) return;
    const reason = found.state === 'broken' ? found.reason : 'it ended without recording its end';
    const endedAt = clock.now().toISOString();
    const error = {
      code: 'OPERATION_BROKEN',
      message: `The engine gave up ${operation.id}: ${reason}`,
      hint: 'This is a fault of pipit: report it with its log.',
    };
    const isBroken = await records.transaction(async (transaction) => {
      await transaction.lock(`app:${run.app}`);
      const current = await transaction.get('operations', { id: operation.id });
      // Its next round may be under way by now: that is another execution.
      if (current?.round !== operation.round || (current.state !== 'pending' && current.state !== 'running')) return false;
      await transaction.update('operations', { id: operation.id }, { state: 'failed', endedAt, error });
      await abandonRollout(transaction, operation, error.message, endedAt);
      return true;
    });
    if (!isBroken) return;
    logger.error({ operationId: operation.id, reason }, 'Operation broken');
    wakeRun(operation.runId);
  };

  const sweep = async (): Promise<void> => {
    // In quarantine nothing may have an effect, and the engine's recovery has.
    if (await isQuarantined()) return;
    await engine.sweep();
    await lanes.sweep();
    for (const operation of await records.list('operations', { where: { state: ['pending', 'running'] } }))
      serially(`operation ${operation.id}`, () => reconcile(operation));
    for (const run of await records.list('runs', { where: { state: ['active', 'waiting'] } })) wakeRun(run.id);
    tellPeople();
    await janitor.sweep();
  };

  return {
    start: () => {
      loop ??= (async () => {
        while (!stopping.signal.aborted) {
          await sweep().catch((error: unknown) => logger.warn({ error }, 'Sweep broke off; the next one tries again'));
          await clock.sleep(sweepMs, stopping.signal);
        }
      })();
    },
    wakeLane: lanes.wake,
    wakeRun,
    sweep,
    stop: async () => {
      stopping.abort();
      await loop;
      await Promise.all([...underWay.values(), lanes.settle(), janitor.settle(), notices.settle()]);
    },
  };
};

/** Whether a view of the one is a view of the other: what {@link readView} goes by is the same. */
const isSameStage = (one: RunRow, other: RunRow): boolean =>
  one.attempt === other.attempt &&
  one.app === other.app &&
  one.role === other.role &&
  one.number === other.number &&
  one.pipeline === other.pipeline &&
  stageOf(one)?.name === stageOf(other)?.name;

/** What was counted is stored so often; milliseconds. */
const CHECKPOINT_MS = 5_000;
/** An estimate that is off by more than this is corrected. */
const ESTIMATE_TOLERANCE_MS = 2_000;

const isCheckpoint = (run: RunRow, view: RunView, { dueAt }: { readonly dueAt: string | null }): boolean =>
  view.waitedMs - run.waitedMs >= CHECKPOINT_MS ||
  (dueAt !== null && run.dueAt !== null && Math.abs(Date.parse(dueAt) - Date.parse(run.dueAt)) > ESTIMATE_TOLERANCE_MS);

const isSameWait = (run: RunRow, move: Move): move is Move & { readonly type: 'wait' } =>
  move.type === 'wait' &&
  run.state === 'waiting' &&
  run.waitingFor === move.for &&
  run.stage === move.stage.name &&
  run.dueAfterMs === move.dueAfterMs &&
  run.reason === move.reason;
