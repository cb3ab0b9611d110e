import { createMemoryRecords, type Records, TABLE_KEYS, type TableName, type Tables } from '@pipit/pipeline';
import { sql } from 'kysely';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { describeRecords } from '../../pipeline/test/records-conformance.js';
import { createKysely, createPool, createPostgresRecords, migrateRecords } from '../src/index.js';
import { migrationProvider } from '../src/records/migrations.js';
import { SAMPLE_ROWS } from './sample-rows.js';
import { type OpenDatabase, openDatabase, useDatabases } from './support/databases.js';
import { waitUntil } from './support/wait-until.js';

interface Latch {
  readonly promise: Promise<void>;
  resolve(): void;
}

const latch = (): Latch => {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
};

const databases = useDatabases();

describeRecords('on PostgreSQL', async () => {
  const opened = await openDatabase(await databases.migrated());
  return { records: createPostgresRecords(opened), close: () => opened.close() };
});

const open = async (url?: string): Promise<OpenDatabase & { readonly records: Records; readonly url: string }> => {
  const where = url ?? (await databases.migrated());
  const opened = await openDatabase(where);
  onTestFinished(() => opened.close());
  return { ...opened, records: createPostgresRecords(opened), url: where };
};

/** Tables in an order in which no row refers to one that is not there yet. */
const TABLE_NAMES = Object.keys(SAMPLE_ROWS) as readonly TableName[]; // its own keys

const insertSample = (records: Records, table: TableName): Promise<boolean> =>
  records.transaction((transaction) => transaction.insert(table, SAMPLE_ROWS[table] as never)); // the sample is a row of this table

const keyOf = (table: TableName): never =>
  Object.fromEntries(TABLE_KEYS[table].primary.map((column) => [column, (SAMPLE_ROWS[table] as Record<string, unknown>)[column]])) as never; // as above

describe('the records on PostgreSQL', () => {
  it('keep every column of every table, filled and null', async () => {
    const { records } = await open();
    for (const table of TABLE_NAMES) {
      expect(await insertSample(records, table)).toBe(true);
      expect(await records.get(table, keyOf(table))).toEqual(SAMPLE_ROWS[table]);
    }
  });

  it('have the keys that the pipeline says', async () => {
    const { pool } = await open();
    const { rows } = await pool.query<{ name: string; columns: string[]; primary: boolean }>(
      `select table_name as name, array_agg(column_name::text order by ordinal_position) as columns, constraint_type = 'PRIMARY KEY' as primary
       from information_schema.key_column_usage join information_schema.table_constraints using (constraint_schema, constraint_name, table_name)
       where constraint_schema = 'pipit' and constraint_type in ('PRIMARY KEY', 'UNIQUE') group by table_name, constraint_name, constraint_type`,
    );
    const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    for (const table of TABLE_NAMES) {
      const own = rows.filter((row) => row.name === snake(table));
      expect(own.filter((row) => row.primary).map((row) => row.columns)).toEqual([TABLE_KEYS[table].primary.map(snake)]);
      const unique: readonly (readonly string[])[] = TABLE_KEYS[table].unique;
      expect(
        own
          .filter((row) => !row.primary)
          .map((row) => row.columns.toSorted())
          .toSorted(),
      ).toEqual(unique.map((columns) => columns.map(snake).toSorted()).toSorted());
    }
  });

  it('store any text that the outside may bring', async () => {
    const { records } = await open();
    const odd = 'a\0b\uD800c\uDC00d😀';
    await records.transaction((transaction) =>
      transaction.insert('events', { ...SAMPLE_ROWS.events, outcome: odd, body: { [odd]: [odd] } } as never),
    );
    const kept = 'a\uFFFDb\uFFFDc\uFFFDd😀';
    expect(await records.get('events', keyOf('events'))).toMatchObject({ outcome: kept, body: { [kept]: [kept] } });
  });

  it('select rows whose column is null or any of a list, as in memory', async () => {
    for (const records of [createMemoryRecords(), (await open()).records]) {
      await records.transaction(async (transaction) => {
        for (const [id, runId] of [
          ['e1', 'web-1'],
          ['e2', null],
          ['e3', 'web-2'],
        ])
          await transaction.insert('events', { ...SAMPLE_ROWS.events, id, key: id, runId } as never);
      });
      const found = await records.list('events', { where: { runId: ['web-1' as never, null] } });
      expect(found.map((row) => row.id)).toEqual(['e1', 'e2']);
    }
  });

  it('page without overlap where the ordering column is equal', async () => {
    const { records } = await open();
    await records.transaction(async (transaction) => {
      for (const id of ['e3', 'e1', 'e2']) await transaction.insert('events', { ...SAMPLE_ROWS.events, id, key: id } as never);
    });
    const rows = await records.list('events', { orderBy: ['receivedAt', 'descending'] });
    expect(rows.map((row) => row.id)).toEqual(['e3', 'e2', 'e1']);
  });

  it('refuse to change or remove a line of the audit trail', async () => {
    const { records, pool } = await open();
    await insertSample(records, 'audit');
    const changed = records.transaction((transaction) => transaction.update('audit', { sequence: 1 }, { actor: 'mallory' }));
    await expect(changed).rejects.toThrow('append-only');
    for (const statement of ['delete from pipit.audit', 'truncate pipit.audit'])
      await expect(pool.query(statement)).rejects.toThrow('append-only');
    expect(await records.get('audit', { sequence: 1 })).toMatchObject({ actor: 'ann' });
  });

  it.each(['at once', 'soon'] as const)('store nothing %s when the server refuses what was left to the commit', async (durable) => {
    const { records } = await open();
    const host = SAMPLE_ROWS.rolloutHosts as Tables['rolloutHosts']; // the sample is a row of this table
    const refused = records.transaction(
      async (transaction) => {
        await transaction.insert('settings', { name: 'before', value: 1 });
        // Its rollout is not there. The commit is on its way behind it, and is answered as a rollback.
        transaction.sendWithCommit(transaction.insert('rolloutHosts', host));
        transaction.sendWithCommit(transaction.insert('settings', { name: 'behind', value: 1 }));
      },
      { durable },
    );
    await expect(refused).rejects.toThrow('foreign key');
    expect(await records.list('settings')).toEqual([]);
    expect(await records.list('rolloutHosts')).toEqual([]);
  });

  it('begin a step, again and not at all as the records in memory do', async () => {
    const { records } = await open();
    const memory = createMemoryRecords();
    const { runs, operations } = SAMPLE_ROWS as Pick<Tables, 'runs' | 'operations'>; // as above
    const entry = {
      operationId: operations.id,
      name: 'fetch',
      position: 1,
      runId: runs.id,
      cancellable: true,
      at: '2026-01-02T03:04:05.678Z',
    };
    const play = async (on: Records): Promise<readonly unknown[]> => {
      const change = (changes: Partial<typeof runs>) =>
        on.transaction((transaction) => transaction.update('runs', { id: runs.id }, changes));
      const row = () => on.get('steps', { operationId: operations.id, name: 'fetch' });
      await on.transaction(async (transaction) => {
        await transaction.insert('runs', { ...runs, cancelRequestedBy: null });
        await transaction.insert('operations', operations);
      });
      const told: unknown[] = [await on.enterStep(entry), await row()];
      const ended = { state: 'failed', progress: 'half', error: { code: 'X', message: 'x' }, endedAt: entry.at } as const;
      await on.transaction((transaction) => transaction.update('steps', { operationId: operations.id, name: 'fetch' }, ended));
      told.push(await on.enterStep({ ...entry, position: 2, at: '2026-02-02T03:04:05.678Z' }), await row());
      await change({ cancelRequestedBy: 'ann' });
      told.push(await on.enterStep(entry), await on.enterStep({ ...entry, cancellable: false }));
      await on.transaction((transaction) => transaction.insert('settings', { name: 'quarantine', value: {} }));
      told.push(await on.enterStep(entry), await on.enterStep({ ...entry, cancellable: false }), await row());
      await change({ cancelRequestedBy: null });
      told.push(await on.enterStep({ ...entry, name: 'start' }), await on.list('steps'));
      return told;
    };
    const told = await play(records);
    expect(told).toEqual(await play(memory));
    expect(told).toMatchObject([
      { state: 'entered', attempt: 1 },
      { state: 'running', startedAt: entry.at },
      { state: 'entered', attempt: 2 },
      { state: 'running', position: 2, attempt: 2, progress: null, error: null, endedAt: null, startedAt: entry.at },
      { state: 'cancelled' },
      { state: 'entered', attempt: 3 },
      { state: 'cancelled' },
      { state: 'quarantined' },
      { attempt: 3 },
      { state: 'quarantined' },
      [{ name: 'fetch' }],
    ]);
  });

  it('refuse a write that a transaction asks for after its work has returned', async () => {
    const { records } = await open();
    let late: Promise<unknown> = Promise.resolve();
    await records.transaction(async (transaction) => {
      await transaction.insert('settings', { name: 'inside', value: 1 });
      late = records.get('settings', { name: 'none' }).then(() => transaction.insert('settings', { name: 'late', value: 1 }));
      late.catch(() => undefined);
    });
    await expect(late).rejects.toThrow('after its work had returned');
    expect(await records.list('settings')).toMatchObject([{ name: 'inside' }]);
  });

  it('make a transaction again that lost to another', async () => {
    const { records } = await open();
    await records.transaction(async (transaction) => {
      for (const name of ['a', 'b']) await transaction.insert('settings', { name, value: 0 });
    });
    let tries = 0;
    const [first, second] = [latch(), latch()];
    const cross = (one: string, other: string, mine: Latch, theirs: Latch) =>
      records.transaction(async (transaction) => {
        tries += 1;
        await transaction.update('settings', { name: one }, { value: tries });
        mine.resolve();
        await theirs.promise;
        await transaction.update('settings', { name: other }, { value: tries });
      });
    // Each holds what the other wants: PostgreSQL ends one of them.
    await Promise.all([cross('a', 'b', first, second), cross('b', 'a', second, first)]);
    expect(tries).toBe(3);
  });

  describe('when the connection is cut', () => {
    const cut = async (pool: pg.Pool, where: string): Promise<void> => {
      await pool.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and ${where}`,
      );
    };

    it('say that the change may be made again when it was not committed', async () => {
      const { records, pool } = await open();
      const broken = records.transaction(async (transaction) => {
        await transaction.insert('settings', { name: 'a', value: 1 });
        await cut(pool, "state = 'idle in transaction'");
        await transaction.insert('settings', { name: 'b', value: 1 });
      });
      await expect(broken).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE', recovery: 'retry' });
      expect(await records.list('settings')).toEqual([]);
    });

    it('say that it may have been stored when the commit was under way', async () => {
      const { records, pool } = await open();
      const broken = records.transaction(async (transaction) => {
        await transaction.insert('settings', { name: 'a', value: 1 });
        await cut(pool, "state = 'idle in transaction'");
      });
      await expect(broken).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE', recovery: 'reconcile' });
    });

    it('give a name free that was held exclusively, and go on', async () => {
      const { records, pool, url } = await open();
      const other = await open(url);
      const [begun, end] = [latch(), latch()];
      const holding = records.exclusively('apt', async () => {
        begun.resolve();
        await end.promise;
        return 'held';
      });
      await begun.promise;
      let entered = false;
      const waiting = other.records.exclusively('apt', async () => {
        entered = true;
      });
      await waitUntil(
        'a waiter',
        async () =>
          (await pool.query("select 1 from pg_stat_activity where datname = current_database() and wait_event = 'advisory'")).rows
            .length === 1,
      );
      expect(entered).toBe(false);
      await cut(pool, "query like '%pg_advisory_lock%' and state = 'idle'");
      await waiting;
      end.resolve();
      expect(await holding).toBe('held');
      expect(await records.exclusively('apt', async () => 'again')).toBe('again');
    });
  });

  it('let many wait for one name while another name is taken', async () => {
    const { records } = await open();
    const end = latch();
    // More than the pool of such connections has.
    const waiting = Array.from({ length: 10 }, () => records.exclusively('one', () => end.promise));
    await records.exclusively('two', async () => {});
    end.resolve();
    await Promise.all(waiting);
  });

  it('say that the database does not answer', async () => {
    const pool = createPool({ url: 'postgresql://pipit@localhost/pipit?host=%2Fnowhere' }, { max: 1, onError: () => undefined });
    const db = createKysely<unknown>(pool);
    const records = createPostgresRecords({ pool, exclusivePool: pool });
    onTestFinished(() => db.destroy());
    const expected = { code: 'DATABASE_UNAVAILABLE', recovery: 'retry' };
    await expect(records.get('settings', { name: 'x' })).rejects.toMatchObject(expected);
    await expect(records.list('settings')).rejects.toMatchObject(expected);
    await expect(records.transaction(async () => undefined)).rejects.toMatchObject(expected);
    await expect(records.exclusively('x', async () => undefined)).rejects.toMatchObject(expected);
    await expect(migrateRecords(db)).rejects.toMatchObject(expected);
  });
});

describe('migrateRecords', () => {
  it('lets replicas that start together migrate one after another', async () => {
    const url = await databases.fresh();
    const opened = await Promise.all(Array.from({ length: 4 }, () => openDatabase(url)));
    for (const each of opened) await each.close();
    expect(opened).toHaveLength(4);
  });

  it('refuses a database that a newer pipit has changed', async () => {
    const { db } = await open();
    const migrations = await migrationProvider.getMigrations();
    const newer = { getMigrations: async () => ({ ...migrations, '9999-later': { up: async () => {} } }) };
    await migrateRecords(db, newer);
    await expect(migrateRecords(db)).rejects.toMatchObject({ code: 'DATABASE_NEWER', recovery: 'stop' });
  });

  it('makes the one token of an installation from before one of many, with every right', async () => {
    const url = await databases.fresh();
    const db = createKysely<unknown>(createPool({ url }, { max: 1, onError: () => undefined }));
    onTestFinished(() => db.destroy());
    const migrations = await migrationProvider.getMigrations();
    const older = Object.fromEntries(Object.entries(migrations).filter(([name]) => name < '0006'));
    await migrateRecords(db, { getMigrations: async () => older });
    const hash = 'ab'.repeat(32);
    await sql`insert into pipit.settings (name, value) values ('apiToken', ${JSON.stringify({ hash, name: 'admin' })}::jsonb)`.execute(db);
    await migrateRecords(db);
    const { records } = await open(url);
    expect(await records.list('tokens')).toMatchObject([
      { id: 'first', name: 'admin', hash, preset: 'admin', expiresAt: null, revokedAt: null },
    ]);
    expect(await records.list('settings')).toEqual([]);
  });

  it('changes nothing when a migration fails', async () => {
    const { db } = await open();
    const migrations = await migrationProvider.getMigrations();
    const failing = {
      getMigrations: async () => ({
        ...migrations,
        '9999-broken': {
          up: (on: typeof db) =>
            sql
              .raw('create table pipit.half (); select 1/0')
              .execute(on)
              .then(() => undefined),
        },
      }),
    };
    await expect(migrateRecords(db, failing)).rejects.toThrow('division by zero');
    await migrateRecords(db);
  });

  it('leaves the tables of others in the same database alone', async () => {
    const url = await databases.fresh();
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query('create table events (theirs text)');
    await open(url);
    expect((await client.query("select table_name from information_schema.tables where table_schema = 'public'")).rows).toEqual([
      { table_name: 'events' },
    ]);
    await client.end();
  });
});
