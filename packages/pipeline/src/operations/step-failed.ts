import { explainSystemError, isPluginError, isTransient } from '@pipit/core';
import type { ErrorRecord } from '../records/rows.js';

export interface StepFailedOptions {
  readonly cancelled?: boolean;
  /** Something outside, or of pipit's own machine, that may pass: the operation waits and is executed again. */
  readonly mayPass?: boolean;
}

/** A step ended without its value: its operation ends as failed or as cancelled, or waits for another round. */
export class StepFailed extends Error {
  override readonly name = 'StepFailed';
  readonly error: ErrorRecord;
  readonly cancelled: boolean;
  readonly mayPass: boolean;

  constructor(error: ErrorRecord, { cancelled = false, mayPass = false }: StepFailedOptions = {}) {
    super(error.message);
    this.error = error;
    this.cancelled = cancelled;
    this.mayPass = mayPass;
  }
}

/** What is kept of anything thrown. */
export const errorRecordOf = (given: unknown): ErrorRecord => {
  if (given instanceof StepFailed) return given.error;
  const thrown = explainSystemError(given);
  if (isPluginError(thrown))
    return { code: thrown.code, message: thrown.message, ...(thrown.hint === undefined ? {} : { hint: thrown.hint }) };
  return { code: 'UNEXPECTED_ERROR', message: thrown instanceof Error ? thrown.message : String(thrown) };
};

/** Whether what was thrown may pass by itself, so that the same operation goes well later. */
export const mayPass = (thrown: unknown): boolean => (thrown instanceof StepFailed ? thrown.mayPass : isTransient(thrown));
