import { type Kysely, type Migration, type MigrationProvider, sql } from 'kysely';

/**
 * Every change of pipit's own tables, in order. A released migration is never edited: the next change is a new one.
 * Texts compare by code point (`C`), whatever the database's locale, so that every replica and the in-memory records sort alike.
 */
const first: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of FIRST) await sql.raw(statement).execute(db);
  },
};

const FIRST = [
  `create domain pipit_text as text collate "C"`,
  `create table events (
    id pipit_text primary key, instance pipit_text not null, key pipit_text not null, type pipit_text not null, body jsonb not null,
    received_at timestamptz not null, state pipit_text not null, outcome pipit_text, run_id pipit_text, unique (instance, key))`,
  `create index events_received on events (id) where state = 'received'`,
  `create table runs (
    id pipit_text primary key, app pipit_text not null, role pipit_text not null, number integer not null, pipeline pipit_text not null,
    kind pipit_text not null, push_key pipit_text not null unique, repository jsonb not null, ref pipit_text not null, sha pipit_text not null,
    committed_at timestamptz, author pipit_text, event_id pipit_text, actor pipit_text, version pipit_text, rings jsonb not null, health jsonb,
    metadata jsonb, target_ring pipit_text, state pipit_text not null, stage pipit_text not null, completed_stages jsonb not null,
    waiting_for pipit_text, due_at timestamptz, outcome pipit_text, reason pipit_text, failure jsonb, attempt integer not null,
    cancel_requested_by pipit_text, created_at timestamptz not null, updated_at timestamptz not null, ended_at timestamptz, unique (app, number))`,
  `create index runs_open on runs (id) where state <> 'ended'`,
  `create index runs_created on runs (created_at)`,
  `create table operations (
    id pipit_text primary key, run_id pipit_text not null references runs (id), stage pipit_text not null, type pipit_text not null,
    version integer not null, state pipit_text not null, input jsonb, result jsonb, error jsonb, attempt integer not null,
    created_at timestamptz not null, started_at timestamptz, ended_at timestamptz)`,
  `create index operations_run on operations (run_id)`,
  `create index operations_open on operations (id) where state in ('pending', 'running')`,
  `create table steps (
    operation_id pipit_text not null references operations (id), name pipit_text not null, position integer not null, state pipit_text not null,
    attempt integer not null, progress pipit_text, error jsonb, started_at timestamptz not null, ended_at timestamptz, primary key (operation_id, name))`,
  `create table step_logs (
    operation_id pipit_text not null, sequence integer not null, step pipit_text not null, at timestamptz not null, text pipit_text not null,
    primary key (operation_id, sequence))`,
  `create table releases (
    app pipit_text not null, version pipit_text not null, commit jsonb not null, artifacts jsonb not null, run_id pipit_text not null,
    metadata jsonb not null, health jsonb, created_at timestamptz not null, primary key (app, version))`,
  `create table rollouts (
    id pipit_text primary key, run_id pipit_text not null, operation_id pipit_text not null, app pipit_text not null, role pipit_text not null,
    ring pipit_text not null, sequence integer not null, version pipit_text not null, artifacts jsonb not null, purpose pipit_text not null,
    state pipit_text not null, reason pipit_text, started_at timestamptz not null, ended_at timestamptz, unique (app, role, ring, sequence))`,
  `create index rollouts_run on rollouts (run_id)`,
  `create index rollouts_operation on rollouts (operation_id)`,
  `create table rollout_hosts (
    rollout_id pipit_text not null references rollouts (id), host_id pipit_text not null, address pipit_text not null, architecture pipit_text,
    state pipit_text not null, report jsonb, updated_at timestamptz not null, primary key (rollout_id, host_id))`,
  `create table rings (
    app pipit_text not null, role pipit_text not null, ring pipit_text not null, sequence integer not null, rollout_id pipit_text not null,
    version pipit_text not null, state pipit_text not null, updated_at timestamptz not null, primary key (app, role, ring))`,
  `create table advertisements (
    app pipit_text not null, role pipit_text not null, ring pipit_text not null, sequence integer not null, document jsonb not null,
    written_at timestamptz not null, primary key (app, role, ring, sequence))`,
  `create table promotions (
    run_id pipit_text not null, ring pipit_text not null, sequence integer not null, version pipit_text not null, actor pipit_text not null,
    reason pipit_text, created_at timestamptz not null, primary key (run_id, ring))`,
  `create table locks (name pipit_text primary key, run_id pipit_text not null, reason pipit_text not null, since timestamptz not null)`,
  `create table cleanups (
    id pipit_text primary key, kind pipit_text not null, target pipit_text not null, operation_id pipit_text not null,
    created_at timestamptz not null, last_error pipit_text)`,
  `create table apps (
    app pipit_text primary key, repository_id pipit_text not null, repository_name pipit_text not null, pipeline pipit_text not null,
    ref pipit_text not null, created_at timestamptz not null)`,
  `create table heads (
    repository_id pipit_text not null, ref pipit_text not null, sha pipit_text, updated_at timestamptz not null, primary key (repository_id, ref))`,
  `create table cursors (instance pipit_text primary key, cursor pipit_text not null)`,
  `create table audit (
    sequence integer primary key, at timestamptz not null, actor pipit_text not null, origin pipit_text not null, action pipit_text not null,
    subject pipit_text not null, detail jsonb, previous_hash pipit_text not null, hash pipit_text not null)`,
  // The trail can only grow, whoever holds pipit's own connection.
  `create function pipit_audit_is_append_only() returns trigger language plpgsql as $$ begin raise exception 'the audit trail is append-only'; end $$`,
  `create trigger audit_append_only before update or delete or truncate on audit execute function pipit_audit_is_append_only()`,
  `create table settings (name pipit_text primary key, value jsonb)`,
  `create table executors (executor_id pipit_text primary key, seen_at timestamptz not null)`,
] as const;

export const migrationProvider: MigrationProvider = {
  getMigrations: async () => ({ '0001-first': first }),
};
