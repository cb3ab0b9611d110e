import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';

/** A replica that has not said for this long that it lives is dead. Its operations are claimed some 3 to 5 s after its death. */
export const LEASE_MS = 3_000;
/** How often a replica says that it lives. */
export const HEARTBEAT_MS = 1_000;
/** An operation of our own that does not run here is left this long: it may be on its way from the queue. */
const GRACE_MS = 3_000;
/** DBOS's own queue for recovered workflows: see the contract test. */
const RECOVERY_QUEUE = '_dbos_internal_queue';
/** No replica: what bears it is taken over by any that has its code. */
const NOBODY = 'nobody';
const MIGRATION_LOCK = 727_474_002;
const MIGRATION_POLL_MS = 100;

export interface Leases {
  /** Says that this replica lives. */
  renew(): Promise<void>;
  /** Puts operations of dead replicas, and our own that nobody executes, back into the queue. Gives their ids. */
  takeOver(): Promise<readonly string[]>;
  release(): Promise<void>;
  migrateAlone(work: () => Promise<unknown>): Promise<void>;
}

export interface LeasesOptions {
  readonly pool: Pool;
  readonly executorId: string;
  readonly schema: string;
  readonly applicationVersion: string;
  /** Names of the workflows that this replica has code for. */
  readonly names: () => readonly string[];
  /** Ids of the operations that run here. */
  readonly running: () => readonly string[];
  /** Milliseconds that only grow. */
  readonly monotonicMs: () => number;
}

/**
 * Says that this replica lives, and finds operations of those that do not. Level-triggered: it looks at what is, each time, so that nothing depends on
 * noticing a death when it happens. Whoever is wrongly taken for dead loses nothing but time: DBOS refuses the checkpoints of its former owner.
 */
export const createLeases = (options: LeasesOptions): Leases => {
  const { pool, executorId, schema, applicationVersion, names, running, monotonicMs } = options;
  const beats = new Map<string, { readonly seenAt: string; readonly sinceMs: number }>();
  let renewedAt: number | undefined;
  let steadySince: number | undefined;

  /** The rows of one `where`, put back as DBOS's own recovery does it (reenqueueWorkflowsForRecovery). */
  const enqueue = async (where: string, values: readonly unknown[]): Promise<readonly string[]> => {
    const result = await pool.query<{ workflow_uuid: string }>(
      `update "${schema}".workflow_status set started_at_epoch_ms = null, status = 'ENQUEUED', owner_xid = null,
         updated_at = (extract(epoch from now()) * 1000)::bigint, queue_name = coalesce(queue_name, $1)
       where status = 'PENDING' and application_version = $2 and name = any($3::text[]) and ${where}
       returning workflow_uuid`,
      [RECOVERY_QUEUE, applicationVersion, names(), ...values],
    );
    return result.rows.map((row) => row.workflow_uuid);
  };

  /**
   * The replicas that have said within a lease that they live. What counts is that their row changes, by this process's own clock that only grows: a
   * step of the database's clock makes nobody dead, and nobody live for longer.
   */
  const readLiving = async (): Promise<readonly string[]> => {
    const found = await pool.query<{ executor_id: string; seen_at: string }>('select executor_id, seen_at::text from pipit.executors');
    const now = monotonicMs();
    for (const { executor_id: id, seen_at: seenAt } of found.rows)
      if (beats.get(id)?.seenAt !== seenAt) beats.set(id, { seenAt, sinceMs: now });
    const there = new Set(found.rows.map((row) => row.executor_id));
    for (const [id, beat] of beats) if (!there.has(id) && now - beat.sinceMs > LEASE_MS) beats.delete(id);
    return [...beats].filter(([, beat]) => now - beat.sinceMs <= LEASE_MS).map(([id]) => id);
  };

  return {
    renew: async () => {
      await pool.query(
        'insert into pipit.executors (executor_id, seen_at) values ($1, now()) on conflict (executor_id) do update set seen_at = excluded.seen_at',
        [executorId],
      );
      const now = monotonicMs();
      if (renewedAt === undefined || now - renewedAt > LEASE_MS / 2) steadySince = now;
      renewedAt = now;
    },

    takeOver: async () => {
      const idle = await enqueue(
        'executor_id = $4 and workflow_uuid <> all($5::text[]) and updated_at < extract(epoch from now()) * 1000 - $6',
        [executorId, running(), GRACE_MS],
      );
      // Claimed from the queue, and this release has no code for it: it is given to a replica that has.
      await pool.query(
        `update "${schema}".workflow_status set executor_id = $1
         where status = 'PENDING' and application_version = $2 and executor_id = $3 and name <> all($4::text[])`,
        [NOBODY, applicationVersion, executorId, names()],
      );
      const living = await readLiving();
      // While the database was away nobody could say that it lives: wait until all had the time to.
      if (steadySince === undefined || renewedAt === undefined || renewedAt - steadySince < LEASE_MS) return idle;
      const orphaned = await enqueue('executor_id <> $4 and executor_id <> all($5::text[])', [executorId, living]);
      await pool.query("delete from pipit.executors where seen_at < now() - interval '1 day' and executor_id <> all($1::text[])", [living]);
      return [...idle, ...orphaned];
    },

    release: async () => {
      await pool.query('delete from pipit.executors where executor_id = $1', [executorId]);
    },

    migrateAlone: async (work) => {
      const client = await pool.connect();
      let broken = false;
      const isMine = async (): Promise<boolean> =>
        (await client.query<{ mine: boolean }>('select pg_try_advisory_lock($1) as mine', [MIGRATION_LOCK])).rows[0]?.mine === true;
      try {
        // Asked for again and again, and not waited for: DBOS makes indexes concurrently, which waits for every statement that is under way,
        // so a replica that waited in a statement and the one that migrates would wait for each other for ever.
        while (!(await isMine())) await sleep(MIGRATION_POLL_MS);
        await work();
      } finally {
        await client.query('select pg_advisory_unlock($1)', [MIGRATION_LOCK]).catch(() => {
          broken = true;
        });
        client.release(broken);
      }
    },
  };
};
