import type { Logger } from '@pipit/core';
import type { Hints } from '../hints.js';
import { handleEvent } from '../intake/handle-event.js';
import { markNotice } from '../notices/mark-notice.js';
import { sendNotices } from '../notices/send-notices.js';
import { abandonRollout } from '../operations/verify-rollout.js';
import type { PipelineClock } from '../ports/clock.js';
import type { Engine } from '../ports/engine.js';
import type { MovePoint, PipelineObserver } from '../ports/observer.js';
import type { Effects, PipelineCatalog, Sources } from '../ports/parts.js';
import type { Records } from '../ports/records.js';
import type { EventId, RunId } from '../records/ids.js';
import type { OperationRow, RunRow } from '../records/rows.js';
import { type Applied, applyMove } from './apply-move.js';
import { decide } from './decide.js';
import { createJanitor } from './janitor.js';
import { limitConcurrency } from './limit-concurrency.js';
import { readView } from './read-view.js';

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
  /** Looks at an event now, and not at the next sweep. */
  wakeEvent(eventId: EventId): void;
  wakeRun(runId: RunId): void;
  /** One full pass over events, runs, operations and clean-ups. */
  sweep(): Promise<void>;
  /** No new move begins; returns when the ones under way are stored. */
  stop(): Promise<void>;
}

/** Moves a run may make at once: far more than it has stages, so reaching it is a fault. */
const MAX_MOVES = 100;
/** Handling an event may ask git. In a flood of webhooks, connections and CPU go to those that are still to be answered. */
const MAX_EVENTS_AT_ONCE = 4;

/**
 * Walks runs through their stages. It holds no state of its own: each decision is made anew from rows, in one transaction, so it may be killed anywhere,
 * and any number of replicas may conduct.
 */
export const createConductor = (ports: ConductorPorts, options: ConductorOptions = {}): Conductor => {
  const { records, engine, catalog, clock, logger, observer } = ports;
  const sweepMs = options.sweepMs ?? 1_000;
  const stopping = new AbortController();
  const underWay = new Map<string, Promise<void>>();
  const askedAgain = new Set<string>();
  const limitEvents = limitConcurrency(MAX_EVENTS_AT_ONCE);
  const cleanUp = createJanitor(ports);
  let loop: Promise<void> | undefined;
  let telling: Promise<void> | undefined;

  const isQuarantined = async (): Promise<boolean> => (await records.get('settings', { name: 'quarantine' })) !== undefined;

  const submit = (operation: OperationRow): Promise<void> =>
    engine.submit({ id: operation.id, type: operation.type, version: operation.version, input: operation.input });

  /** Stores, in one transaction, every move that a run can make by itself now: up to the start of an operation, a wait or its end. */
  const advance = async (runId: RunId): Promise<void> => {
    const moves = await records.transaction(async (transaction) => {
      const stored: (Applied & { readonly point: Omit<MovePoint, 'phase'> })[] = [];
      const found = await transaction.get('runs', { id: runId });
      if (found === undefined || found.state === 'ended') return stored;
      await transaction.lock(`app:${found.app}`);
      const isTold = (catalog.get(found.pipeline)?.notifiers.length ?? 0) > 0;
      while (stored.length < MAX_MOVES) {
        const run = await transaction.get('runs', { id: runId });
        if (run === undefined) return stored;
        const view = await readView(transaction, run, catalog, clock.now());
        const move = decide(view);
        if (move.type === 'none' || isSameWait(run, move)) return stored;
        if (isTold && stored.length === 0) await markNotice(transaction, runId, clock.now().toISOString());
        const point = { runId, move: move.type, stage: 'stage' in move ? move.stage.name : run.stage };
        observer.onMove?.({ ...point, phase: 'decided' });
        const applied = await applyMove(transaction, view, move);
        stored.push({ point, ...applied });
        if (!applied.again) return stored;
      }
      return stored;
    });
    for (const { point } of moves) observer.onMove?.({ ...point, phase: 'stored' });
    if (moves.length > 0) {
      ports.onChange(runId);
      tellPeople();
    }
    for (const { operation, wake } of moves) {
      if (operation !== undefined) await submit(operation);
      for (const other of wake) wakeRun(other);
    }
  };

  /** Beside everything else: a chat that does not answer holds up no run and no sweep. */
  const tellPeople = (): void => {
    if (stopping.signal.aborted) return;
    telling ??= sendNotices({ ...ports, stopping: stopping.signal })
      .catch((error: unknown) => logger.warn({ error }, 'Notices not sent; the next sweep tries again'))
      .finally(() => {
        telling = undefined;
      });
  };

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

  const wakeRun = (runId: RunId): void =>
    serially(`run ${runId}`, async () => {
      if (!(await isQuarantined())) await advance(runId);
    });

  const judgeEvent = async (eventId: EventId): Promise<void> => {
    if (stopping.signal.aborted) return;
    const row = await records.get('events', { id: eventId });
    if (row === undefined || row.state === 'handled' || (await isQuarantined())) return;
    const runId = await handleEvent(ports, row, stopping.signal);
    if (runId !== undefined) {
      ports.onChange(runId);
      wakeRun(runId);
    }
  };

  const wakeEvent = (eventId: EventId): void => {
    const key = `event ${eventId}`;
    // It is handled once: while it waits for its turn, each sweep would ask for one more look.
    if (!underWay.has(key)) serially(key, () => limitEvents(() => judgeEvent(eventId)));
  };

  /** Operations that the engine does not know (killed between storing and submitting) or gave up. */
  const reconcile = async (operation: OperationRow): Promise<void> => {
    const found = await engine.inspect(operation.id);
    if (found.state === 'unknown') return submit(operation);
    if (found.state === 'unfinished') return;
    // Its code ends by recording the row, so a row that is still open under an ended execution says that the record is gone or never fitted.
    const current = await records.get('operations', { id: operation.id });
    if (current === undefined || (current.state !== 'pending' && current.state !== 'running')) return;
    const reason = found.state === 'broken' ? found.reason : 'it ended without recording its end';
    logger.error({ operationId: operation.id, reason }, 'Operation broken');
    const endedAt = clock.now().toISOString();
    const error = {
      code: 'OPERATION_BROKEN',
      message: `The engine gave up ${operation.id}: ${reason}`,
      hint: 'This is a fault of pipit: report it with its log.',
    };
    await records.transaction(async (transaction) => {
      await transaction.update('operations', { id: operation.id }, { state: 'failed', endedAt, error });
      await abandonRollout(transaction, operation, error.message, endedAt);
    });
    wakeRun(operation.runId);
  };

  const sweep = async (): Promise<void> => {
    // In quarantine nothing may have an effect, and the engine's recovery has.
    if (await isQuarantined()) return;
    await engine.sweep();
    for (const event of await records.list('events', { where: { state: 'received' }, limit: 500 })) wakeEvent(event.id);
    for (const operation of await records.list('operations', { where: { state: ['pending', 'running'] } })) await reconcile(operation);
    for (const run of await records.list('runs', { where: { state: ['active', 'waiting'] } })) wakeRun(run.id);
    tellPeople();
    await cleanUp();
    await Promise.all(underWay.values());
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
    wakeEvent,
    wakeRun,
    sweep,
    stop: async () => {
      stopping.abort();
      await loop;
      await Promise.all([...underWay.values(), telling]);
    },
  };
};

const isSameWait = (run: RunRow, move: ReturnType<typeof decide>): boolean =>
  move.type === 'wait' &&
  run.state === 'waiting' &&
  run.waitingFor === move.for &&
  run.stage === move.stage.name &&
  run.dueAt === move.dueAt &&
  run.reason === move.reason;
