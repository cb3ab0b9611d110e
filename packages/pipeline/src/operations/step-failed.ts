import { isPluginError } from '@pipit/core';
import type { ErrorRecord } from '../records/rows.js';

/** A step ended without its value: its operation ends as failed, or as cancelled. */
export class StepFailed extends Error {
  override readonly name = 'StepFailed';
  readonly error: ErrorRecord;
  readonly cancelled: boolean;

  constructor(error: ErrorRecord, cancelled = false) {
    super(error.message);
    this.error = error;
    this.cancelled = cancelled;
  }
}

/** What is kept of anything thrown. */
export const errorRecordOf = (thrown: unknown): ErrorRecord => {
  if (thrown instanceof StepFailed) return thrown.error;
  if (isPluginError(thrown))
    return { code: thrown.code, message: thrown.message, ...(thrown.hint === undefined ? {} : { hint: thrown.hint }) };
  return { code: 'UNEXPECTED_ERROR', message: thrown instanceof Error ? thrown.message : String(thrown) };
};
