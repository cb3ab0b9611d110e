import {
  type Query,
  type Records,
  type RecordsReader,
  type RecordsTransaction,
  TABLE_KEYS,
  type TableName,
  type Tables,
} from '@pipit/pipeline';
import type { Pool, PoolClient, QueryResult } from 'pg';
import { isRaced, isStalePlan, mapDatabaseError } from './database-errors.js';
import { createExclusiveNames } from './exclusive-names.js';
import { readsOf, releaseClient, runStatement } from './run-statement.js';
import {
  enterStepStatement,
  getStatement,
  insertAllStatement,
  insertStatement,
  listStatement,
  lockStatement,
  type Row,
  removeStatement,
  type Statement,
  updateAllStatement,
  updateStatement,
} from './statements.js';

/** Times a transaction is made again after it lost a race with another. */
const MAX_RACES = 10;

/** Microtasks in which a write that is left to the commit fails, if it does so before it is sent. */
const SETTLING_TURNS = 8;

type Run = (statement: Statement) => Promise<readonly Row[]>;

const createReader = (run: Run): RecordsReader => ({
  get: async <T extends TableName>(table: T, key: Parameters<typeof getStatement<T>>[1]): Promise<Tables[T] | undefined> => {
    const [row] = await run(getStatement(table, key));
    return row as Tables[T] | undefined; // rows come in by insert alone, which takes the table's type
  },
  list: async <T extends TableName>(table: T, query: Query<Tables[T]> = {}): Promise<readonly Tables[T][]> => {
    const rows = await run(listStatement(table, query as Query<Row>));
    return rows as readonly unknown[] as readonly Tables[T][]; // as in get
  },
});

/** What a transaction is made of, over ways to read, to write and to lock. `soon`: each write is a transaction of its own that need not wait. */
const createTransaction = (
  { read, write, lock, sendWithCommit }: { readonly read: Run; readonly write: Run } & Pick<RecordsTransaction, 'lock' | 'sendWithCommit'>,
  soon: boolean,
): RecordsTransaction => ({
  ...createReader(read),
  insert: async (table, row) => (await write(insertStatement(table, row, { soon, replace: false }))).length > 0,
  put: async (table, row) => {
    await write(insertStatement(table, row, { soon, replace: true }));
  },
  insertAll: async (table, rows) => {
    if (rows.length === 0) return [];
    const keyOf = (row: Row): string => JSON.stringify(TABLE_KEYS[table].primary.map((column) => row[column]));
    const written = new Set((await write(insertAllStatement(table, rows, { soon }))).map(keyOf));
    // Of two rows with one key the first was written: found once, it is taken out.
    return rows.map((row) => written.delete(keyOf({ ...row })));
  },
  update: async (table, key, changes) => {
    const entries = Object.entries(changes).filter(([, value]) => value !== undefined);
    if (entries.length === 0) return (await read(getStatement(table, key))).length > 0;
    return (await write(updateStatement(table, key, entries, { soon }))).length > 0;
  },
  updateAll: async (table, rows) => {
    if (rows.length > 0) await write(updateAllStatement(table, rows, { soon }));
  },
  remove: async (table, key) => (await write(removeStatement(table, key))).length > 0,
  lock,
  sendWithCommit,
});

const mapped = async <T>(work: () => Promise<T>, during: 'work' | 'commit' = 'work'): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    throw mapDatabaseError(error, during);
  }
};

const BEGIN = 'begin isolation level read committed';
/** The commit then does not wait for the disk; PostgreSQL writes it there within three times its wal_writer_delay of 200 ms. */
const COMMIT = { 'at once': 'commit', soon: 'set local synchronous_commit to off; commit' } as const;

type Durable = () => keyof typeof COMMIT;

/** What the server did with the last of the questions: a commit behind a failed write is answered as a rollback, and not as an error. */
const commandOf = (results: QueryResult | readonly QueryResult[]): string | undefined =>
  (Array.isArray(results) ? results.at(-1) : (results as QueryResult))?.command;

/**
 * One connection, over which what need not wait for each other is sent together: the beginning travels with the first lock or read, the last writes
 * with the commit. A write is sent when the transaction has begun and its locks are held, so that nothing is ever written outside of it.
 */
const transactOn = async <T>(client: PoolClient, work: (transaction: RecordsTransaction) => Promise<T>, durable: Durable): Promise<T> => {
  let ahead: Promise<unknown> = Promise.resolve();
  /** What the beginning and locks have not answered yet; and writes that wait for them, in their order. */
  let unanswered = 0;
  let unsent = 0;
  let turn: Promise<unknown> = Promise.resolve();
  let isOver = false;
  const left: Promise<unknown>[] = [];
  let failed: { readonly error: unknown } | undefined;
  const noted = <V>(result: Promise<V>): Promise<V> => {
    // The first failure is the reason; those behind it only say that the transaction is over.
    result.catch((error: unknown) => {
      failed ??= { error };
    });
    return result;
  };
  const sendAhead = (result: Promise<unknown>): void => {
    unanswered += 1;
    const answered = noted(result).then(() => {
      unanswered -= 1;
    });
    const all = Promise.all([ahead, answered]);
    all.catch(() => undefined);
    ahead = all;
  };
  const send: Run = (statement) => {
    if (isOver) throw new Error('a transaction was asked for more after its work had returned');
    return noted(runStatement(client, statement));
  };
  const inTurn = async (statement: Statement): Promise<readonly Row[]> => {
    unsent += 1;
    const before = Promise.all([turn, ahead]);
    turn = before.then(() => undefined);
    turn.catch(() => undefined);
    await before;
    unsent -= 1;
    return send(statement);
  };
  sendAhead(client.query(BEGIN));
  const read: Run = (statement) => (unsent === 0 ? send(statement) : inTurn(statement));
  const write: Run = (statement) => (unanswered === 0 && unsent === 0 ? send(statement) : inTurn(statement));
  const lock = (name: string): Promise<void> => {
    sendAhead(send(lockStatement(name)));
    return ahead.then(() => undefined);
  };
  const sendWithCommit = (asked: Promise<unknown>): void => {
    left.push(asked);
    // Behind the commit its failure is looked at with the commit's; behind a throw it says only that the transaction is over.
    asked.catch((error: unknown) => {
      if (!isOver) failed ??= { error };
    });
  };
  let value: T;
  try {
    value = await work(createTransaction({ read, write, lock, sendWithCommit }, false));
    await ahead;
    while (unsent > 0 && failed === undefined) await turn;
    // What cannot even be sent says so within some microtasks.
    for (let turns = 0; left.length > 0 && turns < SETTLING_TURNS; turns += 1) await Promise.resolve();
    if (failed !== undefined) throw failed.error;
    isOver = true;
  } catch (error) {
    isOver = true;
    // A connection that is gone has rolled back by itself.
    await client.query('rollback').catch(() => undefined);
    releaseClient(client, failed !== undefined);
    throw failed?.error ?? error;
  }
  try {
    const committed = client.query(COMMIT[durable()]);
    committed.catch(() => undefined);
    await Promise.all(left);
    if (commandOf(await committed) !== 'COMMIT') throw new Error('the database rolled back what was to be committed');
  } catch (error) {
    releaseClient(client, true);
    throw mapDatabaseError(error, 'commit');
  }
  releaseClient(client, false);
  return value;
};

export interface PostgresRecordsOptions {
  readonly pool: Pool;
  /** Its connections are held while something is done exclusively: apart from `pool`, so that neither starves the other. */
  readonly exclusivePool: Pool;
}

/** The records on PostgreSQL. {@link migrateRecords} has made the tables. */
export const createPostgresRecords = ({ pool, exclusivePool }: PostgresRecordsOptions): Records => {
  const run = readsOf(pool);
  // Another replica has just changed the tables: the connection that had prepared it the old way is closed by now.
  const read: Run = (statement) => run(statement).catch((error: unknown) => (isStalePlan(error) ? run(statement) : Promise.reject(error)));
  const reader = createReader(read);

  /** The one write of a transaction is a transaction by itself: neither begun nor committed in questions of their own. */
  const writeOnce = <T>(work: (transaction: RecordsTransaction) => Promise<T>, soon: boolean): Promise<T> => {
    let writes = 0;
    const write: Run = (statement) => {
      writes += 1;
      if (writes > 1) throw new Error('a transaction of one write made a second one');
      return mapped(() => run(statement), 'commit');
    };
    const lock = async (): Promise<void> => {
      throw new Error('a transaction of one write holds no lock');
    };
    const left: Promise<unknown>[] = [];
    const sendWithCommit = (asked: Promise<unknown>): void => {
      asked.catch(() => undefined);
      left.push(asked);
    };
    return mapped(async () => {
      const value = await work(createTransaction({ read, write, lock, sendWithCommit }, soon));
      await Promise.all(left);
      return value;
    });
  };

  const transactOnce = <T>(work: (transaction: RecordsTransaction) => Promise<T>, durable: Durable): Promise<T> =>
    mapped(async () => transactOn(await pool.connect(), work, durable));

  return {
    get: (table, key) => mapped(() => reader.get(table, key)),
    list: (table, query) => mapped(() => reader.list(table, query)),
    transaction: async (work, { durable = 'at once', oneWrite = false } = {}) => {
      const durableWhen: Durable = () => (typeof durable === 'function' ? durable() : durable);
      for (let races = 0; ; races += 1) {
        try {
          return await (oneWrite ? writeOnce(work, durableWhen() === 'soon') : transactOnce(work, durableWhen));
        } catch (error) {
          if (!(isRaced(error) || isStalePlan(error)) || races >= MAX_RACES) throw error;
        }
      }
    },
    enterStep: (entry) =>
      mapped(async () => {
        const [row] = await read(enterStepStatement(entry));
        if (row?.['cancelled'] === true) return { state: 'cancelled' };
        if (row?.['quarantined'] === true) return { state: 'quarantined' };
        return { state: 'entered', attempt: Number(row?.['attempt']) };
      }, 'commit'),
    exclusively: createExclusiveNames(exclusivePool),
  };
};
