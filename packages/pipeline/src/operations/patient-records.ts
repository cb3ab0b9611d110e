import { isPluginError } from '@pipit/core';
import { OperationInterrupted } from '../ports/engine.js';
import type { Records } from '../ports/records.js';
import { backoffMs } from './backoff.js';
import type { OperationPorts } from './operation-ports.js';

const RETRY = { firstMs: 100, longestMs: 3_000 } as const;

/**
 * The records as operations use them: a database that is away for a while (a restart, a failover) makes them wait and not fail.
 * A commit whose answer was lost is made again, so every transaction of an operation finds out what it already wrote.
 */
export const createPatientRecords = ({
  records,
  clock,
  random,
  stopping,
  logger,
}: Pick<OperationPorts, 'records' | 'clock' | 'random' | 'stopping' | 'logger'>): Records => {
  const patiently = async <T>(work: () => Promise<T>): Promise<T> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work();
      } catch (thrown) {
        if (!isPluginError(thrown) || thrown.code !== 'DATABASE_UNAVAILABLE') throw thrown;
        if (attempt === 1) logger.warn({ error: thrown.message }, 'Database away; operations wait for it');
        await clock.sleep(backoffMs(attempt, random, RETRY), stopping);
        if (stopping.aborted) throw new OperationInterrupted();
      }
    }
  };
  return {
    get: (table, key) => patiently(() => records.get(table, key)),
    list: (table, query) => patiently(() => records.list(table, query)),
    transaction: (work, options) => patiently(() => records.transaction(work, options)),
    enterStep: (entry) => patiently(() => records.enterStep(entry)),
    // Not repeated as a whole: its work has effects, and is a step that finds out what already happened.
    exclusively: (name, work) => records.exclusively(name, work),
  };
};
