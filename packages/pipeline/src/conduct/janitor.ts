import type { Logger } from '@pipit/core';
import type { PipelineClock } from '../ports/clock.js';
import type { Effects } from '../ports/parts.js';
import type { Records } from '../ports/records.js';

/** Clean-ups done by one pass, so that a pass stays short. */
const MAX_A_PASS = 50;
/** What could not be cleaned up waits before the next try: a host that is down costs its time-out each time. */
const RETRY_AFTER_MS = 60_000;

/** A look from outside any operation has a folder too, for a minute at most; only what a crash left of one is older. */
const VIEW_GRACE_MS = 2 * 60_000;

export interface JanitorPorts {
  readonly records: Records;
  readonly effects: Pick<Effects, 'removeFolder'>;
  readonly clock: PipelineClock;
  readonly logger: Logger;
}

/** Makes the pass that works through the table of what must be cleaned up: whatever belongs to an operation that has ended, or that never came to be. */
export const createJanitor = ({ records, effects, clock, logger }: JanitorPorts): (() => Promise<void>) => {
  // Only a wait: a restarted pipit tries everything at once, which is what whoever restarted it wants.
  const retryAt = new Map<string, number>();
  return async () => {
    // What failed before comes last: a host that is gone for good keeps no other folder from being removed.
    const all = (await records.list('cleanups')).filter((row) => clock.now().getTime() >= (retryAt.get(row.id) ?? 0));
    const open = [...all.filter((row) => row.lastError === null), ...all.filter((row) => row.lastError !== null)];
    let done = 0;
    for (const row of open) {
      if (done >= MAX_A_PASS) return;
      const operation = await records.get('operations', { id: row.operationId });
      if (operation?.state === 'pending' || operation?.state === 'running') continue;
      if (operation === undefined && clock.now().getTime() - Date.parse(row.createdAt) < VIEW_GRACE_MS) continue;
      done += 1;
      try {
        await effects.removeFolder(row);
        retryAt.delete(row.id);
        await records.transaction((transaction) => transaction.remove('cleanups', { id: row.id }));
      } catch (error) {
        const lastError = error instanceof Error ? error.message : String(error);
        if (lastError !== row.lastError) logger.warn({ target: row.target, error: lastError }, 'Not cleaned up; a later pass tries again');
        retryAt.set(row.id, clock.now().getTime() + RETRY_AFTER_MS);
        await records.transaction((transaction) => transaction.update('cleanups', { id: row.id }, { lastError }));
      }
    }
  };
};
