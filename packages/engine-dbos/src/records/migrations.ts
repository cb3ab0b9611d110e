import { type Kysely, type Migration, type MigrationProvider, sql } from 'kysely';

/** Pipit's own tables stand in a schema of their own, so that a database may be shared. */
export const RECORDS_SCHEMA = 'pipit';

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
  `create domain pipit.text as text collate "C"`,
  `create table pipit.events (
    id pipit.text primary key, instance pipit.text not null, key pipit.text not null, type pipit.text not null, body jsonb not null,
    received_at timestamptz not null, state pipit.text not null, outcome pipit.text, run_id pipit.text, unique (instance, key))`,
  `create index events_received on pipit.events (id) where state = 'received'`,
  `create table pipit.runs (
    id pipit.text primary key, app pipit.text not null, role pipit.text not null, number integer not null, pipeline pipit.text not null,
    kind pipit.text not null, push_key pipit.text not null unique, repository jsonb not null, ref pipit.text not null, sha pipit.text not null,
    committed_at timestamptz, author pipit.text, event_id pipit.text, actor pipit.text, version pipit.text, rings jsonb not null, health jsonb,
    metadata jsonb, target_ring pipit.text, state pipit.text not null, stage pipit.text not null, completed_stages jsonb not null,
    waiting_for pipit.text, due_at timestamptz, outcome pipit.text, reason pipit.text, failure jsonb, attempt integer not null,
    cancel_requested_by pipit.text, created_at timestamptz not null, updated_at timestamptz not null, ended_at timestamptz, unique (app, number))`,
  `create index runs_open on pipit.runs (id) where state <> 'ended'`,
  `create index runs_created on pipit.runs (created_at)`,
  `create table pipit.operations (
    id pipit.text primary key, run_id pipit.text not null references pipit.runs (id), stage pipit.text not null, type pipit.text not null,
    version integer not null, state pipit.text not null, input jsonb, result jsonb, error jsonb, attempt integer not null,
    created_at timestamptz not null, started_at timestamptz, ended_at timestamptz)`,
  `create index operations_run on pipit.operations (run_id)`,
  `create index operations_open on pipit.operations (id) where state in ('pending', 'running')`,
  `create table pipit.steps (
    operation_id pipit.text not null references pipit.operations (id), name pipit.text not null, position integer not null, state pipit.text not null,
    attempt integer not null, progress pipit.text, error jsonb, started_at timestamptz not null, ended_at timestamptz, primary key (operation_id, name))`,
  `create table pipit.step_logs (
    operation_id pipit.text not null, sequence integer not null, step pipit.text not null, at timestamptz not null, text pipit.text not null,
    primary key (operation_id, sequence))`,
  `create table pipit.releases (
    app pipit.text not null, version pipit.text not null, commit jsonb not null, artifacts jsonb not null, run_id pipit.text not null,
    metadata jsonb not null, health jsonb, created_at timestamptz not null, primary key (app, version))`,
  `create table pipit.rollouts (
    id pipit.text primary key, run_id pipit.text not null, operation_id pipit.text not null, app pipit.text not null, role pipit.text not null,
    ring pipit.text not null, sequence integer not null, version pipit.text not null, artifacts jsonb not null, purpose pipit.text not null,
    state pipit.text not null, reason pipit.text, started_at timestamptz not null, ended_at timestamptz, unique (app, role, ring, sequence))`,
  `create index rollouts_run on pipit.rollouts (run_id)`,
  `create index rollouts_operation on pipit.rollouts (operation_id)`,
  `create table pipit.rollout_hosts (
    rollout_id pipit.text not null references pipit.rollouts (id), host_id pipit.text not null, address pipit.text not null, architecture pipit.text,
    state pipit.text not null, report jsonb, updated_at timestamptz not null, primary key (rollout_id, host_id))`,
  `create table pipit.rings (
    app pipit.text not null, role pipit.text not null, ring pipit.text not null, sequence integer not null, rollout_id pipit.text not null,
    version pipit.text not null, state pipit.text not null, updated_at timestamptz not null, primary key (app, role, ring))`,
  `create table pipit.advertisements (
    app pipit.text not null, role pipit.text not null, ring pipit.text not null, sequence integer not null, document jsonb not null,
    written_at timestamptz not null, primary key (app, role, ring, sequence))`,
  `create table pipit.promotions (
    run_id pipit.text not null, ring pipit.text not null, sequence integer not null, version pipit.text not null, actor pipit.text not null,
    reason pipit.text, created_at timestamptz not null, primary key (run_id, ring))`,
  `create table pipit.locks (name pipit.text primary key, run_id pipit.text not null, reason pipit.text not null, since timestamptz not null)`,
  `create table pipit.cleanups (
    id pipit.text primary key, kind pipit.text not null, target pipit.text not null, operation_id pipit.text not null,
    created_at timestamptz not null, last_error pipit.text)`,
  `create table pipit.apps (
    app pipit.text primary key, repository_id pipit.text not null, repository_name pipit.text not null, pipeline pipit.text not null,
    ref pipit.text not null, created_at timestamptz not null)`,
  `create table pipit.heads (
    repository_id pipit.text not null, ref pipit.text not null, sha pipit.text, updated_at timestamptz not null, primary key (repository_id, ref))`,
  `create table pipit.cursors (instance pipit.text primary key, cursor pipit.text not null)`,
  `create table pipit.audit (
    sequence integer primary key, at timestamptz not null, actor pipit.text not null, origin pipit.text not null, action pipit.text not null,
    subject pipit.text not null, detail jsonb, previous_hash pipit.text not null, hash pipit.text not null)`,
  // The trail can only grow, whoever holds pipit's own connection.
  `create function pipit.audit_is_append_only() returns trigger language plpgsql as $$ begin raise exception 'the audit trail is append-only'; end $$`,
  `create trigger audit_append_only before update or delete or truncate on pipit.audit execute function pipit.audit_is_append_only()`,
  `create table pipit.settings (name pipit.text primary key, value jsonb)`,
  `create table pipit.executors (executor_id pipit.text primary key, seen_at timestamptz not null)`,
] as const;

/** What notifiers were told of runs. */
const notices: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql
      .raw(`create table pipit.notices (
        run_id pipit.text primary key references pipit.runs (id), version integer not null, due_at timestamptz, handles jsonb not null,
        told jsonb not null, failures integer not null, last_error pipit.text)`)
      .execute(db);
    await sql.raw('create index notices_due on pipit.notices (due_at) where due_at is not null').execute(db);
  },
};

/** Events of one repository in their order, each apart from the others'; and the moves of a ref by number. */
const lanes: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of LANES) await sql.raw(statement).execute(db);
  },
};

const LANES = [
  `alter table pipit.events add column lane pipit.text not null default '', add column polled boolean not null default false`,
  `update pipit.events set lane = instance || ':' || coalesce(body #>> '{event,repository,id}', type) where state = 'received'`,
  `drop index pipit.events_received`,
  `create index events_lanes on pipit.events (lane, id) where state = 'received'`,
  `alter table pipit.heads add column moves integer not null default 0`,
] as const;

/** Signed heads of the audit trail; as append-only as the trail. */
const auditHeads: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql
      .raw(`create table pipit.audit_heads (
        sequence integer primary key, hash pipit.text not null, at timestamptz not null, key_id pipit.text not null,
        previous_head pipit.text not null, signature pipit.text not null)`)
      .execute(db);
    await sql
      .raw(`create trigger audit_heads_append_only before update or delete or truncate on pipit.audit_heads
        execute function pipit.audit_is_append_only()`)
      .execute(db);
  },
};

/** Tokens with names, rights and an end. The one token that an installation had goes on working, with every right. */
const tokens: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of TOKENS) await sql.raw(statement).execute(db);
  },
};

const TOKENS = [
  `create table pipit.tokens (
    id pipit.text primary key, name pipit.text not null unique, hash pipit.text not null, preset pipit.text not null, created_at timestamptz not null,
    created_by pipit.text not null, expires_at timestamptz, last_used_at timestamptz, revoked_at timestamptz, revoked_by pipit.text)`,
  `insert into pipit.tokens (id, name, hash, preset, created_at, created_by)
    select 'first', value->>'name', value->>'hash', 'admin', now(), 'pipit' from pipit.settings where name = 'apiToken'`,
  `delete from pipit.settings where name = 'apiToken'`,
] as const;

/** How long runs have waited, counted by a clock that only grows; rounds of operations; a lock of its own for each ring. */
const waits: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of WAITS) await sql.raw(statement).execute(db);
  },
};

const WAITS = [
  'alter table pipit.runs add column waited_ms double precision not null default 0, add column due_after_ms double precision',
  'alter table pipit.operations add column round integer not null default 1',
  // Until now a run held the one lock of app and role through its bake.
  `insert into pipit.locks (name, run_id, reason, since)
    select 'ring:' || runs.app || ':' || runs.role || ':' || split_part(runs.stage, ':', 2), runs.id, locks.reason, locks.since
    from pipit.locks join pipit.runs on runs.id = locks.run_id
    where locks.name like 'rollout:%' and (runs.stage like 'bake:%' or runs.stage like 'rollout:%')
    on conflict do nothing`,
  `delete from pipit.locks using pipit.runs where runs.id = locks.run_id and locks.name like 'rollout:%' and runs.stage like 'bake:%'`,
] as const;

export const migrationProvider: MigrationProvider = {
  getMigrations: async () => ({
    '0001-first': first,
    '0002-notices': notices,
    '0003-lanes': lanes,
    '0004-audit-heads': auditHeads,
    '0006-tokens': tokens,
    '0008-waits': waits,
  }),
};
