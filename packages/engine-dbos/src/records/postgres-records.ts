import { type KeyOf, type Query, type Records, type RecordsTransaction, TABLE_KEYS, type TableName, type Tables } from '@pipit/pipeline';
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Pool } from 'pg';
import { isRaced, mapDatabaseError } from './database-errors.js';
import { createExclusiveNames } from './exclusive-names.js';
import { JSON_COLUMNS } from './json-columns.js';
import { RECORDS_SCHEMA } from './migrations.js';
import { storableJson, storableText } from './storable-text.js';

type Row = Readonly<Record<string, unknown>>;
type Db = Kysely<unknown>;

/** Times a transaction is made again after it lost a race with another. */
const MAX_RACES = 10;

const tableOf = (table: TableName): RawBuilder<unknown> => sql.table(`${RECORDS_SCHEMA}.${table}`);

const columnValue = (table: TableName, column: string, value: unknown): RawBuilder<unknown> => {
  if (JSON_COLUMNS[table].includes(column)) return sql`${value === null ? null : storableJson(value)}::jsonb`;
  return sql`${typeof value === 'string' ? storableText(value) : value}`;
};

const equals = (table: TableName, column: string, wanted: unknown): RawBuilder<unknown> => {
  const reference = sql.ref(column);
  if (wanted === null) return sql`${reference} is null`;
  if (!Array.isArray(wanted)) return sql`${reference} = ${columnValue(table, column, wanted)}`;
  const values = wanted.filter((each) => each !== null);
  const any = values.length === 0 ? sql`false` : sql`${reference} in (${sql.join(values.map((each) => columnValue(table, column, each)))})`;
  return values.length === wanted.length ? any : sql`(${any} or ${reference} is null)`;
};

const conditionsOf = (table: TableName, query: Query<Row>): readonly RawBuilder<unknown>[] => [
  ...Object.entries(query.where ?? {}).flatMap(([column, wanted]) => (wanted === undefined ? [] : [equals(table, column, wanted)])),
  ...(query.atMost === undefined ? [] : [sql`${sql.ref(query.atMost.column)} <= ${query.atMost.value}`]),
  ...(query.after === undefined ? [] : [sql`${sql.ref(query.after.column)} > ${query.after.value}`]),
  ...(query.before === undefined ? [] : [sql`${sql.ref(query.before.column)} < ${query.before.value}`]),
];

const whereOf = (conditions: readonly RawBuilder<unknown>[]): RawBuilder<unknown> =>
  conditions.length === 0 ? sql`` : sql`where ${sql.join(conditions, sql` and `)}`;

const keyWhere = (table: TableName, key: Row): RawBuilder<unknown> =>
  whereOf(TABLE_KEYS[table].primary.map((column) => equals(table, column, key[column])));

const select = async (db: Db, table: TableName, query: Query<Row>): Promise<readonly Row[]> => {
  const [column, direction] = query.orderBy ?? [undefined, 'ascending'];
  // The primary key decides between equals, so that pages neither overlap nor skip.
  const columns: readonly string[] = [...new Set([...(column === undefined ? [] : [column]), ...TABLE_KEYS[table].primary])];
  const order = sql.join(columns.map((each) => (direction === 'ascending' ? sql`${sql.ref(each)} asc` : sql`${sql.ref(each)} desc`)));
  const limit = query.limit === undefined ? sql`` : sql`limit ${query.limit}`;
  const result = await sql<Row>`select * from ${tableOf(table)} ${whereOf(conditionsOf(table, query))} order by ${order} ${limit}`.execute(
    db,
  );
  return result.rows;
};

/** A row under the names of its columns, as Kysely's plugin writes them elsewhere. */
const inColumns = (row: object): Row =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value]));

const createReader = (db: Db) => ({
  get: async <T extends TableName>(table: T, key: KeyOf<T>): Promise<Tables[T] | undefined> => {
    const result = await sql<Row>`select * from ${tableOf(table)} ${keyWhere(table, { ...key })}`.execute(db);
    return result.rows[0] as Tables[T] | undefined; // rows come in by insert alone, which takes the table's type
  },
  list: async <T extends TableName>(table: T, query: Query<Tables[T]> = {}): Promise<readonly Tables[T][]> => {
    const rows = await select(db, table, query as Query<Row>);
    return rows as readonly unknown[] as readonly Tables[T][]; // as in get
  },
});

const createTransaction = (db: Db): RecordsTransaction => ({
  ...createReader(db),
  insert: async (table, row) => {
    const entries = Object.entries(row);
    const columns = sql.join(entries.map(([column]) => sql.ref(column)));
    const values = sql.join(entries.map(([column, value]) => columnValue(table, column, value)));
    const result =
      await sql`insert into ${tableOf(table)} (${columns}) values (${values}) on conflict do nothing returning 1 as one`.execute(db);
    return result.rows.length > 0;
  },
  insertAll: async (table, rows) => {
    const [first] = rows;
    if (first === undefined) return [];
    const columns = sql.join(Object.keys(first).map((column) => sql.ref(column)));
    const { primary } = TABLE_KEYS[table];
    // One parameter for all of them; the table's own row type says what each value becomes.
    const result = await sql<Row>`insert into ${tableOf(table)} (${columns})
      select ${columns} from jsonb_populate_recordset(null::${tableOf(table)}, ${storableJson(rows.map(inColumns))}::jsonb)
      on conflict do nothing returning ${sql.join(primary.map((column) => sql.ref(column)))}`.execute(db);
    const keyOf = (row: Row): string => JSON.stringify(primary.map((column) => row[column]));
    const written = new Set(result.rows.map(keyOf));
    // Of two rows with one key the first was written: found once, it is taken out.
    return rows.map((row) => written.delete(keyOf({ ...row })));
  },
  update: async (table, key, changes) => {
    const entries = Object.entries(changes).filter(([, value]) => value !== undefined);
    if (entries.length === 0) return (await createReader(db).get(table, key)) !== undefined;
    const assignments = sql.join(entries.map(([column, value]) => sql`${sql.ref(column)} = ${columnValue(table, column, value)}`));
    const result = await sql`update ${tableOf(table)} set ${assignments} ${keyWhere(table, { ...key })} returning 1 as one`.execute(db);
    return result.rows.length > 0;
  },
  remove: async (table, key) => {
    const result = await sql`delete from ${tableOf(table)} ${keyWhere(table, { ...key })} returning 1 as one`.execute(db);
    return result.rows.length > 0;
  },
  lock: async (name) => {
    await sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`.execute(db);
  },
});

const mapped = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    throw mapDatabaseError(error);
  }
};

const BEGIN = sql`begin isolation level read committed`;
/** The commit then does not wait for the disk; PostgreSQL writes it there within three times its wal_writer_delay of 200 ms. */
const BEGIN_SOON = sql`begin isolation level read committed; set local synchronous_commit to off`;

/** Not Kysely's own transactions: those keep the connection for ever when a commit or a rollback fails. */
const transactOnce = <T>(db: Db, work: (transaction: RecordsTransaction) => Promise<T>, isDurableSoon: boolean): Promise<T> =>
  mapped(() =>
    db.connection().execute(async (connection) => {
      await (isDurableSoon ? BEGIN_SOON : BEGIN).execute(connection);
      let value: T;
      try {
        value = await work(createTransaction(connection));
      } catch (error) {
        // A connection that is gone has rolled back by itself.
        await sql`rollback`.execute(connection).catch(() => undefined);
        throw error;
      }
      try {
        await sql`commit`.execute(connection);
      } catch (error) {
        throw mapDatabaseError(error, 'commit');
      }
      return value;
    }),
  );

export interface PostgresRecordsOptions {
  readonly db: Db;
  /** Its connections are held while something is done exclusively: apart from the one that `db` uses, so that neither starves the other. */
  readonly exclusivePool: Pool;
}

/** The records on PostgreSQL. {@link migrateRecords} has made the tables. */
export const createPostgresRecords = ({ db, exclusivePool }: PostgresRecordsOptions): Records => {
  const reader = createReader(db);
  return {
    get: (table, key) => mapped(() => reader.get(table, key)),
    list: (table, query) => mapped(() => reader.list(table, query)),
    transaction: async (work, { durable } = {}) => {
      for (let races = 0; ; races += 1) {
        try {
          return await transactOnce(db, work, durable === 'soon');
        } catch (error) {
          if (!isRaced(error) || races >= MAX_RACES) throw error;
        }
      }
    },
    exclusively: createExclusiveNames(exclusivePool),
  };
};
