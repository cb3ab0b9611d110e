import { isPluginError } from '@pipit/core';
import type { Api, RunDetail } from '@pipit/runtime';
import type { ExitCode } from '../exit-codes.js';
import { createPulse } from './change-pulse.js';
import { createLiveBlock, type TextOutput } from './live-block.js';
import { type Paint, PLAIN } from './paint.js';
import { renderChanges } from './render-changes.js';
import { renderFailureLog } from './render-failure-log.js';
import { renderRun } from './render-run.js';
import { exitCodeOf, type RunResult, readRunResult } from './run-result.js';

export interface WatchOptions {
  /** Ends the watching (not the run): {@link watchRun} then throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** Default: the machine's time. */
  readonly now?: () => Date;
  /** Default: no colours. */
  readonly paint?: Paint;
  /** A ring that was just promoted: the run's wait for that promotion does not end the watching. */
  readonly promotedRing?: string;
  /** How long to wait for a change before looking anyway, in milliseconds; default 2,000. */
  readonly pollMs?: number;
  /** How long an unreachable server is waited for, in milliseconds; default 30,000. */
  readonly patienceMs?: number;
  /** Called with each look that differs from the one before. Default: drawn on the output. */
  readonly onDetail?: (detail: RunDetail) => void;
}

export interface Watched {
  readonly detail: RunDetail;
  readonly result: Exclude<RunResult, 'under-way'>;
  /** What a command that waited for the run exits with. */
  readonly exitCode: ExitCode;
}

/** While nothing changes, durations still grow on a terminal. */
const REDRAW_MS = 1_000;

interface Screen {
  show(detail: RunDetail): void;
  end(detail: RunDetail): void;
}

const createScreen = (output: TextOutput, { now, paint }: { readonly now: () => Date; readonly paint: Paint }): Screen => {
  if (output.isLive) {
    const block = createLiveBlock(output);
    const lines = (detail: RunDetail) => renderRun(detail, { now: now(), paint, width: output.columns });
    return { show: (detail) => block.draw(lines(detail)), end: (detail) => block.end(lines(detail)) };
  }
  let before: RunDetail | undefined;
  const show = (detail: RunDetail): void => {
    for (const line of renderChanges(before, detail, { now: now(), paint })) output.write(`${line}\n`);
    before = detail;
  };
  return { show, end: show };
};

const isPassing = (error: unknown): boolean => isPluginError(error) && error.recovery === 'retry';

/**
 * Shows a run until it ends or waits for a promotion: redrawn in place on a terminal, one line a change elsewhere. A run that failed
 * is followed by the tail of the failed step's log.
 *
 * @throws the signal's reason when it is aborted; what the Api throws, once `patienceMs` are over where it may pass
 */
export const watchRun = async (api: Api, runId: string, output: TextOutput, options: WatchOptions = {}): Promise<Watched> => {
  const { now = () => new Date(), paint = PLAIN, promotedRing, pollMs = 2_000, patienceMs = 30_000, onDetail } = options;
  const screen: Screen = onDetail === undefined ? createScreen(output, { now, paint }) : { show: onDetail, end: onDetail };
  const ending = new AbortController();
  const signal = options.signal === undefined ? ending.signal : AbortSignal.any([options.signal, ending.signal]);
  // Listens before it looks, so that no change falls between the two.
  const pulse = createPulse(api.follow({ runId, signal }));
  try {
    let looked = now().getTime();
    for (;;) {
      options.signal?.throwIfAborted();
      let detail: RunDetail;
      try {
        detail = await api.showRun(runId);
        looked = now().getTime();
      } catch (error) {
        if (!isPassing(error) || now().getTime() - looked > patienceMs) throw error;
        await pulse.wait(Math.min(pollMs, REDRAW_MS), signal);
        continue;
      }
      const result = readRunResult(detail.run, promotedRing);
      if (result !== 'under-way') {
        screen.end(detail);
        if (onDetail === undefined && (result === 'failed' || result === 'rolled-back'))
          for (const line of await renderFailureLog(api, detail, paint)) output.write(`${line}\n`);
        return { detail, result, exitCode: exitCodeOf(result) };
      }
      screen.show(detail);
      for (let waited = 0; waited < pollMs; waited += REDRAW_MS) {
        if (await pulse.wait(Math.min(REDRAW_MS, pollMs), signal)) break;
        options.signal?.throwIfAborted();
        if (output.isLive && onDetail === undefined) screen.show(detail);
      }
    }
  } finally {
    ending.abort();
    await pulse.end();
  }
};
