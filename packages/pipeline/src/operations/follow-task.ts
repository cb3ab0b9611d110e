import { type Op, recoveryOf, type Services, type Started, type Task, type TaskState } from '@pipit/core';
import { OperationInterrupted } from '../ports/engine.js';
import { backoffMs } from './backoff.js';
import type { OperationPorts } from './operation-ports.js';
import type { EffectOptions, StepTools } from './run-step.js';
import { errorRecordOf, StepFailed } from './step-failed.js';

/** How often a task that answers at once is asked: soon at first, then seldom. */
const POLL = { firstMs: 100, longestMs: 5_000 } as const;
/** How long one inspect may hold. */
const INSPECT_DEADLINE_MS = 60_000;
/** What cannot be asked for so long is waited for as a row, and not by an operation that sleeps and holds the install lock. */
const FAILING_MS = 30_000;
const RETRY = { firstMs: 500, longestMs: 8_000 } as const;

export interface FollowOptions<Request, Result> {
  readonly effect: EffectOptions;
  readonly started: Started<Request>;
  readonly onPartial?: (result: Result) => Promise<void>;
  /** Whether a cancel of the run is passed on to the task. */
  readonly cancellable: boolean;
  readonly hint?: { readonly instance: string; readonly commit: string };
}

type AnyTask<Request, Result> = Pick<Task<Request, Result, keyof Services>, 'inspect' | 'cancel' | 'readLog'>;

/** Asks a task until it ended, keeping its log; entered again after a restart, it goes on where the task is. */
export const followTask = async <Request, Result>(
  ports: OperationPorts,
  tools: StepTools,
  task: AnyTask<Request, Result>,
  options: FollowOptions<Request, Result>,
): Promise<{ readonly result: Result; readonly url: string | undefined }> => {
  let { started } = options;
  let cursor: string | undefined;
  let failures = 0;
  let failingSince = 0;
  let waits = 0;
  let cancelSent = false;
  const effect = { ...options.effect, deadlineMs: INSPECT_DEADLINE_MS };
  // From the log's beginning on: after a restart it is read again from there.
  const shown = ports.effects.openLog();
  const show = (text: string): void => {
    if (text !== '') tools.log(text);
  };
  const readLog = async (op: Op<keyof Services>): Promise<void> => {
    if (task.readLog === undefined) return;
    const piece = await task.readLog(started, cursor, op);
    cursor = piece.cursor;
    show(shown.write(piece.text));
  };
  const follow = async (): Promise<{ readonly result: Result; readonly url: string | undefined }> => {
    for (;;) {
      if (tools.signal.aborted) throw new OperationInterrupted();
      let state: TaskState<Result> | undefined;
      try {
        state = await tools.effect(effect, async (op) => {
          if (options.cancellable && !cancelSent && task.cancel !== undefined && (await tools.isCancelled())) {
            await task.cancel(started, op);
            cancelSent = true;
          }
          const answer = await task.inspect(started, op);
          await readLog(op);
          return answer;
        });
        failures = 0;
      } catch (thrown) {
        if (failures === 0) failingSince = ports.clock.monotonicMs();
        failures += 1;
        if (tools.signal.aborted) throw new OperationInterrupted();
        if (recoveryOf(thrown) === 'stop') throw thrown;
        // Final for the step: were it tried again, the outage would be waited for six times over.
        if (failures > 1 && ports.clock.monotonicMs() - failingSince >= FAILING_MS)
          throw new StepFailed(errorRecordOf(thrown), { mayPass: true });
        tools.report(
          `${options.effect.part.instance} does not answer (${thrown instanceof Error ? thrown.message : String(thrown)}); asking again`,
        );
      }
      if (state?.state === 'ended') return { result: state.result, url: state.url };
      if (state?.state === 'lost')
        throw new StepFailed({
          code: 'TASK_LOST',
          message: `${options.effect.part.instance} lost what it was doing: ${state.reason}`,
          hint: 'Push again once it is well; an empty commit will do.',
        });
      if (state?.handle !== undefined) started = { ...started, handle: state.handle };
      if (state?.partial !== undefined) await options.onPartial?.(state.partial);
      waits = state === undefined ? waits : waits + 1;
      const ms = state === undefined ? backoffMs(failures, ports.random, RETRY) : backoffMs(waits, ports.random, POLL);
      await sleepOrHint(ports, tools, options, started.handle, ms);
    }
  };
  try {
    return await follow();
  } finally {
    // Interrupted, it is not the log's end.
    if (!tools.signal.aborted) show(shown.flush());
  }
};

const sleepOrHint = async <Request, Result>(
  ports: OperationPorts,
  tools: StepTools,
  options: FollowOptions<Request, Result>,
  handle: string,
  ms: number,
): Promise<void> => {
  if (options.hint === undefined) return ports.clock.sleep(ms, tools.signal);
  const woken = new AbortController();
  const stop = ports.hints.listen({ ...options.hint, handle, key: tools.keyOf(options.effect.task) }, () => woken.abort());
  try {
    await ports.clock.sleep(ms, AbortSignal.any([tools.signal, woken.signal]));
  } finally {
    stop();
  }
};
