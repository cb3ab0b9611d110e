import { assertNever } from '@pipit/core';
import type { RunDetail } from '@pipit/runtime';
import { EXIT, type ExitCode } from '../exit-codes.js';

export type Run = RunDetail['run'];

/** How a run stands for somebody who waits for it. */
export type RunResult = 'under-way' | 'waiting' | 'succeeded' | 'failed' | 'rolled-back';

/**
 * @param promotedRing a ring that was just promoted: the run may not have noticed yet, so its wait for that promotion is no end
 */
export const readRunResult = (run: Run, promotedRing?: string): RunResult => {
  if (run.state === 'waiting' && run.waitingFor === 'promotion') return run.stage === `promotion:${promotedRing}` ? 'under-way' : 'waiting';
  if (run.state !== 'ended') return 'under-way';
  switch (run.outcome) {
    case 'succeeded':
      return 'succeeded';
    case 'rolled-back':
      return 'rolled-back';
    case 'failed':
    case 'superseded':
    case 'cancelled':
    case 'stale':
    case null:
      return 'failed';
    default:
      return assertNever(run.outcome);
  }
};

export const exitCodeOf = (result: Exclude<RunResult, 'under-way'>): ExitCode => {
  switch (result) {
    case 'succeeded':
      return EXIT.ok;
    case 'failed':
      return EXIT.failed;
    case 'rolled-back':
      return EXIT.rolledBack;
    case 'waiting':
      return EXIT.waiting;
    default:
      return assertNever(result);
  }
};
