import type { Pool } from 'pg';

/** A replica that has not said for this long that it lives is dead. Its operations are claimed some 3 s after its death. */
const LEASE_SECONDS = 3;
/** An operation of our own that does not run here is left this long: it may be on its way from the queue. */
const GRACE_SECONDS = 3;
/** DBOS's own queue for recovered workflows: see the contract test. */
const RECOVERY_QUEUE = '_dbos_internal_queue';
const MIGRATION_LOCK = 727_474_002;

export interface Leases {
  renew(): Promise<void>;
  /** Puts operations of dead replicas, and our own that nobody executes, back into the queue. Gives their ids. */
  takeOver(running: ReadonlySet<string>): Promise<readonly string[]>;
  release(): Promise<void>;
  migrateAlone(work: () => Promise<unknown>): Promise<void>;
}

/**
 * Says that this replica lives, and finds operations of those that do not. Level-triggered: it looks at what is, each time, so that nothing depends on
 * noticing a death when it happens.
 */
export const createLeases = (options: {
  readonly pool: Pool;
  readonly executorId: string;
  readonly schema: string;
  readonly applicationVersion: string;
}): Leases => {
  const { pool, executorId, schema, applicationVersion } = options;
  return {
    renew: async () => {
      await pool.query(
        'insert into executors (executor_id, seen_at) values ($1, now()) on conflict (executor_id) do update set seen_at = excluded.seen_at',
        [executorId],
      );
    },
    takeOver: async (running) => {
      // One statement, as DBOS's own recovery does it (reenqueueWorkflowsForRecovery), for exactly the rows that nobody executes.
      const result = await pool.query<{ workflow_uuid: string }>(
        `update "${schema}".workflow_status set started_at_epoch_ms = null, status = 'ENQUEUED', owner_xid = null,
           updated_at = (extract(epoch from now()) * 1000)::bigint, queue_name = coalesce(queue_name, $1)
         where status = 'PENDING' and application_version = $2
           and ((executor_id = $3 and workflow_uuid <> all($4::text[]) and updated_at < (extract(epoch from now()) - $5) * 1000)
             or (executor_id <> $3 and not exists (
                  select from executors where executors.executor_id = workflow_status.executor_id and seen_at > now() - make_interval(secs => $6))))
         returning workflow_uuid`,
        [RECOVERY_QUEUE, applicationVersion, executorId, [...running], GRACE_SECONDS, LEASE_SECONDS],
      );
      return result.rows.map((row) => row.workflow_uuid);
    },
    release: async () => {
      await pool.query('delete from executors where executor_id = $1', [executorId]);
    },
    migrateAlone: async (work) => {
      const client = await pool.connect();
      try {
        await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
        await work();
      } finally {
        await client.query('select pg_advisory_unlock($1)', [MIGRATION_LOCK]).catch(() => undefined);
        client.release();
      }
    },
  };
};
