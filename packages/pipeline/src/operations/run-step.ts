import { type Commit, type Json, type Op, recoveryOf, type Services } from '@pipit/core';
import { type EngineContext, OperationInterrupted } from '../ports/engine.js';
import type { EffectRequest, WorkingPart } from '../ports/parts.js';
import type { EnteredStep, StepEntry } from '../ports/records.js';
import type { ErrorRecord, OperationRow, RunRow } from '../records/rows.js';
import { backoffMs } from './backoff.js';
import type { OperationPorts } from './operation-ports.js';
import { errorRecordOf, mayPass, StepFailed } from './step-failed.js';
import { createStepNotes } from './step-notes.js';

/** Tries of one step before its failure is the operation's, which then waits if it may pass; the last waits some 8 s. */
const STEP_ATTEMPTS = 6;
const RETRY = { firstMs: 250, longestMs: 8_000 } as const;
const QUARANTINE_POLL_MS = 5_000;
/** How long an effect may take unless it says so: publishing a large package over a slow line takes minutes. */
const EFFECT_DEADLINE_MS = 15 * 60_000;

type Outcome =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly cancelled: boolean; readonly mayPass: boolean; readonly error: ErrorRecord };

export interface EffectOptions {
  readonly part: WorkingPart;
  readonly commit?: Commit;
  readonly folder: EffectRequest['folder'];
  /** What the key names instead of the step: the calls of one task share it. */
  readonly task?: string;
  readonly deadlineMs?: number;
}

/** What a step's work gets. */
export interface StepTools {
  readonly attempt: number;
  /** Aborted when pipit stops. */
  readonly signal: AbortSignal;
  /** Whether a person has asked for the run to end. */
  isCancelled(): Promise<boolean>;
  report(message: string): void;
  log(text: string): void;
  effect<T>(options: EffectOptions, work: (op: Op<keyof Services>) => Promise<T>): Promise<T>;
  /** The key that {@link StepTools.effect} gives. */
  keyOf(task?: string): string;
}

export interface StepOptions {
  /** Whether a cancel that came before it ends the operation here. */
  readonly cancellable?: boolean;
  /** Whether a failure that may pass is tried again within the step; default true. */
  readonly retries?: boolean;
}

export interface OperationScope {
  readonly operation: OperationRow;
  readonly run: RunRow;
  /** Runs once, or reads back what it returned. The value is plain JSON. */
  step<T>(name: string, work: (tools: StepTools) => Promise<T>, options?: StepOptions): Promise<T>;
}

/** Makes the function that runs the steps of one operation: records them, tries them again, reads the cancel flag, tells the observer. */
export const createScope = (ports: OperationPorts, operation: OperationRow, run: RunRow, context: EngineContext): OperationScope => {
  const { records, clock, stopping, observer } = ports;
  const operationId = operation.id;
  let position = 0;

  const isCancelled = async (): Promise<boolean> => {
    const current = await records.get('runs', { id: run.id });
    return current !== undefined && current.cancelRequestedBy !== null;
  };

  /** While a person reconciles, no effect begins; operations under way wait before their next try. */
  const enter = async (entry: StepEntry): Promise<Exclude<EnteredStep, { state: 'quarantined' }>> => {
    for (;;) {
      const entered = await records.enterStep(entry);
      if (entered.state !== 'quarantined') return entered;
      await clock.sleep(QUARANTINE_POLL_MS, stopping);
      if (stopping.aborted) throw new OperationInterrupted();
    }
  };

  const attemptStep = async (
    name: string,
    work: (tools: StepTools) => Promise<unknown>,
    options: StepOptions,
    at: number,
  ): Promise<Outcome> => {
    const key = { operationId, name };
    const notes = createStepNotes(ports, key);
    for (let tries = 1; ; tries += 1) {
      const cancellable = options.cancellable === true && tries === 1;
      const entered = await enter({ ...key, position: at, runId: run.id, cancellable, at: clock.now().toISOString() });
      if (entered.state === 'cancelled')
        return { ok: false, cancelled: true, mayPass: false, error: { code: 'RUN_CANCELLED', message: 'The run was cancelled' } };
      const { attempt } = entered;
      const { log, report } = notes;
      // With the time of the run's making: after a backup was restored run numbers come again, and the outside still knows those that were lost.
      const keyOf = (task?: string): string =>
        `${run.id}@${Date.parse(run.createdAt).toString(36)}:${operation.stage}:${task ?? name}:${operation.attempt}`;
      const tools: StepTools = {
        attempt,
        signal: stopping,
        isCancelled,
        report,
        log,
        keyOf,
        effect: (effect, call) =>
          ports.effects.run(
            {
              part: effect.part,
              operationId,
              step: effect.task ?? name,
              key: keyOf(effect.task),
              attempt,
              commit: effect.commit,
              folder: effect.folder,
              deadlineMs: effect.deadlineMs ?? EFFECT_DEADLINE_MS,
              signal: stopping,
              onReport: report,
              onOutput: log,
            },
            call,
          ),
      };
      try {
        observer.onStep?.({ operationId, step: name, phase: 'begun' });
        const value = await work(tools);
        observer.onStep?.({ operationId, step: name, phase: 'done' });
        await notes.end('succeeded', null);
        return { ok: true, value };
      } catch (thrown) {
        // While pipit stops, whatever broke off is nobody's failure: the step is entered again after the start.
        if (thrown instanceof OperationInterrupted || stopping.aborted) throw new OperationInterrupted();
        const error = errorRecordOf(thrown);
        const final = thrown instanceof StepFailed || recoveryOf(thrown) === 'stop' || options.retries === false || tries >= STEP_ATTEMPTS;
        if (error.code === 'UNEXPECTED_ERROR') ports.logger.error({ operationId, step: name, error: thrown }, 'Step threw');
        log(`${error.code}: ${error.message}\n`);
        if (final) {
          await notes.end('failed', error);
          return { ok: false, cancelled: thrown instanceof StepFailed && thrown.cancelled, mayPass: mayPass(thrown), error };
        }
        await clock.sleep(backoffMs(tries, ports.random, RETRY), stopping);
        if (stopping.aborted) throw new OperationInterrupted();
      }
    }
  };

  return {
    operation,
    run,
    step: async <T>(name: string, work: (tools: StepTools) => Promise<T>, options: StepOptions = {}): Promise<T> => {
      position += 1;
      const at = position;
      observer.onStep?.({ operationId, step: name, phase: 'before' });
      const outcome = await context.step(name, async (): Promise<Json> => {
        if (stopping.aborted) throw new OperationInterrupted();
        return outcomeToJson(await attemptStep(name, work, options, at));
      });
      observer.onStep?.({ operationId, step: name, phase: 'after' });
      const ended = outcome as unknown as { ok: true; value: T } | (Outcome & { readonly ok: false }); // made by outcomeToJson, maybe before a restart
      if (ended.ok) return ended.value;
      throw new StepFailed(ended.error, ended);
    },
  };
};

const outcomeToJson = (outcome: Outcome): Json =>
  outcome.ok
    ? { ok: true, value: (outcome.value ?? null) as Json }
    : // steps return plain JSON, as their docstring says
      { ok: false, cancelled: outcome.cancelled, mayPass: outcome.mayPass, error: { ...outcome.error } };
