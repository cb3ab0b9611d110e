import type { PipelineClock } from '../ports/clock.js';
import type { RunId } from '../records/ids.js';
import { operationAt, type RunView, stageOf } from './decide.js';

/** More than this between two looks is not counted: nobody watched, because pipit was frozen or far behind. */
const MAX_GAP_MS = 30_000;

export interface Stopwatch {
  /** How long the run's stage has been watched, or has waited for the outside, until now. Counts since the look before, and what the row says. */
  read(view: RunView): number;
  /** What was read is in the row now. */
  saved(runId: RunId, waitedMs: number): void;
}

interface Reading {
  readonly stage: string;
  /** As the row has it. */
  readonly storedMs: number;
  unsavedMs: number;
  lookedAtMs: number;
}

/** Whether time counts for a run: its ring is watched, or a fault that may pass is waited for (the tries in between count too). */
const isTimed = (view: RunView): boolean => {
  const stage = stageOf(view.run);
  if (stage === undefined || view.run.waitingFor === 'rollout-lock') return false;
  const operation = operationAt(view, stage);
  return operation === undefined ? stage.kind === 'bake' : operation.state === 'waiting' || operation.round > 1;
};

/**
 * Measures waits by a clock that only grows. The row keeps what was counted, so that a restart goes on with it; time in which pipit was down does not
 * count. Several servers may count for one run: each counts only from when it first saw what the row says, so no moment is counted twice.
 */
export const createStopwatch = (clock: Pick<PipelineClock, 'monotonicMs'>): Stopwatch => {
  const readings = new Map<RunId, Reading>();
  return {
    read: (view) => {
      const { run } = view;
      if (!isTimed(view)) {
        readings.delete(run.id);
        return run.waitedMs;
      }
      const now = clock.monotonicMs();
      const stage = stageOf(run)?.name ?? run.stage;
      const known = readings.get(run.id);
      if (known === undefined || known.stage !== stage || known.storedMs !== run.waitedMs) {
        readings.set(run.id, { stage, storedMs: run.waitedMs, unsavedMs: 0, lookedAtMs: now });
        return run.waitedMs;
      }
      known.unsavedMs += Math.min(now - known.lookedAtMs, MAX_GAP_MS);
      known.lookedAtMs = now;
      return known.storedMs + known.unsavedMs;
    },
    saved: (runId, waitedMs) => {
      const known = readings.get(runId);
      if (known === undefined) return;
      const unsavedMs = Math.max(0, known.storedMs + known.unsavedMs - waitedMs);
      readings.set(runId, { ...known, storedMs: waitedMs, unsavedMs });
    },
  };
};
