import type { RecordsTransaction } from '../ports/records.js';
import type { RunId } from '../records/ids.js';

/** Says, in the transaction that changes a run, that people are to be told: so nobody misses it, whatever is killed when. */
export const markNotice = async (transaction: RecordsTransaction, runId: RunId, at: string): Promise<void> => {
  const row = await transaction.get('notices', { runId });
  if (row === undefined)
    await transaction.insert('notices', { runId, version: 1, dueAt: at, handles: {}, told: {}, failures: 0, lastError: null });
  else await transaction.update('notices', { runId }, { version: row.version + 1, dueAt: at, failures: 0 });
};

/** The same for a run that another one ended, if anybody was told of it before. */
export const markKnownNotice = async (transaction: RecordsTransaction, runId: RunId, at: string): Promise<void> => {
  const row = await transaction.get('notices', { runId });
  if (row !== undefined) await transaction.update('notices', { runId }, { version: row.version + 1, dueAt: at, failures: 0 });
};
