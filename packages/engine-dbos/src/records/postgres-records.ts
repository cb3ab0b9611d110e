import { type KeyOf, type Query, type Records, type RecordsTransaction, TABLE_KEYS, type TableName, type Tables } from '@pipit/pipeline';
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Pool } from 'pg';
import { isRaced, mapDatabaseError } from './database-errors.js';
import { JSON_COLUMNS } from './json-columns.js';

type Row = Readonly<Record<string, unknown>>;
type Db = Kysely<unknown>;

/** Times a transaction is made again after it lost a race with another. */
const MAX_RACES = 10;

const columnValue = (table: TableName, column: string, value: unknown): RawBuilder<unknown> =>
  JSON_COLUMNS[table].includes(column) ? sql`${value === null ? null : JSON.stringify(value)}::jsonb` : sql`${value}`;

const equals = (table: TableName, column: string, wanted: unknown): RawBuilder<unknown> => {
  const reference = sql.ref(column);
  if (wanted === null) return sql`${reference} is null`;
  if (!Array.isArray(wanted)) return sql`${reference} = ${columnValue(table, column, wanted)}`;
  if (wanted.length === 0) return sql`false`;
  return sql`${reference} in (${sql.join(wanted.map((each) => columnValue(table, column, each)))})`;
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
  const columns: readonly string[] = column === undefined ? TABLE_KEYS[table].primary : [column];
  const order = sql.join(columns.map((each) => (direction === 'ascending' ? sql`${sql.ref(each)} asc` : sql`${sql.ref(each)} desc`)));
  const limit = query.limit === undefined ? sql`` : sql`limit ${query.limit}`;
  const result =
    await sql<Row>`select * from ${sql.table(table)} ${whereOf(conditionsOf(table, query))} order by ${order} ${limit}`.execute(db);
  return result.rows;
};

const createReader = (db: Db) => ({
  get: async <T extends TableName>(table: T, key: KeyOf<T>): Promise<Tables[T] | undefined> => {
    const result = await sql<Row>`select * from ${sql.table(table)} ${keyWhere(table, { ...key })}`.execute(db);
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
      await sql`insert into ${sql.table(table)} (${columns}) values (${values}) on conflict do nothing returning 1 as one`.execute(db);
    return result.rows.length > 0;
  },
  update: async (table, key, changes) => {
    const entries = Object.entries(changes).filter(([, value]) => value !== undefined);
    if (entries.length === 0) return (await createReader(db).get(table, key)) !== undefined;
    const assignments = sql.join(entries.map(([column, value]) => sql`${sql.ref(column)} = ${columnValue(table, column, value)}`));
    const result = await sql`update ${sql.table(table)} set ${assignments} ${keyWhere(table, { ...key })} returning 1 as one`.execute(db);
    return result.rows.length > 0;
  },
  remove: async (table, key) => {
    const result = await sql`delete from ${sql.table(table)} ${keyWhere(table, { ...key })} returning 1 as one`.execute(db);
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

export interface PostgresRecordsOptions {
  readonly db: Db;
  /** Its connections are held while something is done exclusively: apart from the one that `db` uses, so that neither starves the other. */
  readonly exclusivePool: Pool;
}

/** The records on PostgreSQL. */
export const createPostgresRecords = ({ db, exclusivePool }: PostgresRecordsOptions): Records => {
  const reader = createReader(db);
  return {
    get: (table, key) => mapped(() => reader.get(table, key)),
    list: (table, query) => mapped(() => reader.list(table, query)),
    transaction: (work) =>
      mapped(async () => {
        for (let races = 0; ; races += 1) {
          try {
            return await db.transaction().execute((transaction) => work(createTransaction(transaction)));
          } catch (error) {
            if (!isRaced(error) || races >= MAX_RACES) throw error;
          }
        }
      }),
    exclusively: async (name, work) => {
      const client = await mapped(() => exclusivePool.connect());
      // A name of its own kind: a transaction's lock of the same name is another one.
      const key = `exclusively:${name}`;
      let broken = false;
      try {
        await mapped(() => client.query('select pg_advisory_lock(hashtextextended($1, 0))', [key]));
        return await work();
      } finally {
        await client.query('select pg_advisory_unlock(hashtextextended($1, 0))', [key]).catch(() => {
          broken = true;
        });
        // A connection that could not give the lock back is closed, which gives it back.
        client.release(broken);
      }
    },
  };
};
