import type { RecordsTransaction } from '../ports/records.js';
import type { RunRow } from './rows.js';

/** Numbers grow by one within an app; call it under the app's lock. */
export const nextRunNumber = async (transaction: RecordsTransaction, app: RunRow['app']): Promise<number> => {
  const [last] = await transaction.list('runs', { where: { app }, orderBy: ['number', 'descending'], limit: 1 });
  return (last?.number ?? 0) + 1;
};
