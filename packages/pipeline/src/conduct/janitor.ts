import type { Logger } from '@pipit/core';
import type { Effects } from '../ports/parts.js';
import type { Records } from '../ports/records.js';

/** Clean-ups done by one pass, so that a pass stays short. */
const MAX_A_PASS = 50;

/** Works through the table of what must be cleaned up: whatever belongs to an operation that has ended, or that never came to be. */
export const runJanitor = async (ports: {
  readonly records: Records;
  readonly effects: Pick<Effects, 'removeFolder'>;
  readonly logger: Logger;
}): Promise<void> => {
  const { records, effects, logger } = ports;
  // What failed before comes last: a host that is gone for good keeps no other folder from being removed.
  const all = await records.list('cleanups');
  const open = [...all.filter((row) => row.lastError === null), ...all.filter((row) => row.lastError !== null)];
  let done = 0;
  for (const row of open) {
    if (done >= MAX_A_PASS) return;
    const operation = await records.get('operations', { id: row.operationId });
    if (operation?.state === 'pending' || operation?.state === 'running') continue;
    done += 1;
    try {
      await effects.removeFolder(row.target);
      await records.transaction((transaction) => transaction.remove('cleanups', { id: row.id }));
    } catch (error) {
      const lastError = error instanceof Error ? error.message : String(error);
      if (lastError !== row.lastError) logger.warn({ target: row.target, error: lastError }, 'Not cleaned up; the next pass tries again');
      await records.transaction((transaction) => transaction.update('cleanups', { id: row.id }, { lastError }));
    }
  }
};
