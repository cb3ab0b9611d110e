import type { EnteredStep, RecordsTransaction, StepEntry } from '../ports/records.js';

/** Begins a try of a step within a transaction: what {@link Records.enterStep} does, for records that have no shorter way. */
export const enterStepIn = async (transaction: RecordsTransaction, entry: StepEntry): Promise<EnteredStep> => {
  const { operationId, name, position, runId, cancellable, at } = entry;
  const run = await transaction.get('runs', { id: runId });
  if (cancellable && run !== undefined && run.cancelRequestedBy !== null) return { state: 'cancelled' };
  if ((await transaction.get('settings', { name: 'quarantine' })) !== undefined) return { state: 'quarantined' };
  const known = await transaction.get('steps', { operationId, name });
  const attempt = (known?.attempt ?? 0) + 1;
  const fresh = { state: 'running', progress: null, error: null, endedAt: null } as const;
  await transaction.put('steps', { operationId, name, position, attempt, startedAt: known?.startedAt ?? at, ...fresh });
  return { state: 'entered', attempt };
};
