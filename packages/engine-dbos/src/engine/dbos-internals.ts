/**
 * What is used of DBOS beside its public interface, in one place: entries of its `./internal/*` export. Its version is pinned exactly, and the
 * contract test fails when a newer one changes what is relied upon here, and in leases.ts (the columns of workflow_status).
 */

import type { DLogger } from '@dbos-inc/dbos-sdk';
import { ensureSystemDatabase } from '@dbos-inc/dbos-sdk/internal/system_database';
import { dbRetryConfig, INTERNAL_QUEUE_NAME } from '@dbos-inc/dbos-sdk/internal/utils';
import { registerInternalQueue } from '@dbos-inc/dbos-sdk/internal/wfqueue';
import type { Pool } from 'pg';

/** Recovered operations wait for the next look into the queue; DBOS's own second would be felt at each restart. */
const RECOVERY_POLL_MS = 250;
/** DBOS waits up to a minute between tries after the database was away; an embedded one is back within a second. */
const RETRY = { initialBackoffSec: 0.1, maxBackoffSec: 2 } as const;

/** To be called before each launch. */
export const tuneDbos = (): void => {
  Object.assign(dbRetryConfig, RETRY);
  registerInternalQueue(INTERNAL_QUEUE_NAME, { minPollingIntervalMs: RECOVERY_POLL_MS });
};

/** DBOS.migrate over a given pool: the public one opens connections of its own and prints to the console. Without notifications, which pipit does not use. */
export const migrateDbos = async (options: {
  readonly url: string;
  readonly pool: Pool;
  readonly schema: string;
  readonly logger: DLogger;
}): Promise<void> => {
  type Logger = Parameters<typeof ensureSystemDatabase>[1];
  // It only ever logs: its own class has no other use there.
  await ensureSystemDatabase(options.url, options.logger as unknown as Logger, options.pool, options.schema, false);
};
