import type { Query, Records, RecordsTransaction, TransactionOptions } from '../ports/records.js';
import { enterStepIn } from '../records/enter-step.js';
import { type KeyOf, TABLE_KEYS, type TableName, type Tables } from '../records/tables.js';

type Stored = Readonly<Record<string, unknown>>;
type Store = Map<TableName, Map<string, Stored>>;

const keysOf = (table: TableName): { primary: readonly string[]; unique: readonly (readonly string[])[] } => TABLE_KEYS[table];
const keyText = (columns: readonly string[], row: Stored): string => JSON.stringify(columns.map((column) => row[column]));
const compare = (one: unknown, other: unknown): number => {
  if (typeof one === 'number' && typeof other === 'number') return one - other;
  return String(one) < String(other) ? -1 : String(one) > String(other) ? 1 : 0;
};

const matches = (row: Stored, query: Query<Stored>): boolean => {
  const equal = Object.entries(query.where ?? {}).every(([column, wanted]) =>
    wanted === undefined ? true : Array.isArray(wanted) ? wanted.includes(row[column]) : row[column] === wanted,
  );
  const { atMost, after, before } = query;
  return (
    equal &&
    (atMost === undefined || (row[atMost.column] !== null && compare(row[atMost.column], atMost.value) <= 0)) &&
    (after === undefined || (row[after.column] !== null && compare(row[after.column], after.value) > 0)) &&
    (before === undefined || (row[before.column] !== null && compare(row[before.column], before.value) < 0))
  );
};

const select = (rows: readonly Stored[], table: TableName, query: Query<Stored>): readonly Stored[] => {
  const [column, direction] = query.orderBy ?? [undefined, 'ascending'];
  const columns = column === undefined ? keysOf(table).primary : [column];
  const group = query.firstOfEach;
  const by = group === undefined ? columns : [group, ...keysOf(table).primary];
  const sorted = rows
    .filter((row) => matches(row, query))
    .sort((one, other) => {
      const first = by.map((each) => compare(one[each], other[each])).find((order) => order !== 0) ?? 0;
      return direction === 'ascending' || group !== undefined ? first : -first;
    })
    .filter((row, index, all) => group === undefined || row[group] !== all[index - 1]?.[group]);
  return sorted.slice(0, query.limit ?? sorted.length);
};

/** One transaction over a copy of the tables it touches; {@link MemoryTransaction.commit} puts them in place. */
class MemoryTransaction implements RecordsTransaction {
  readonly #store: Store;
  readonly #changed: Store = new Map();
  readonly #left: Promise<unknown>[] = [];
  #hasWritten = false;

  constructor(store: Store) {
    this.#store = store;
  }

  #read(table: TableName): Map<string, Stored> {
    return this.#changed.get(table) ?? this.#store.get(table) ?? new Map();
  }

  #write(table: TableName): Map<string, Stored> {
    const copy = this.#changed.get(table) ?? new Map(this.#store.get(table));
    this.#changed.set(table, copy);
    return copy;
  }

  /** Whether there is something to commit: a transaction that only read makes nothing durable. */
  get hasWritten(): boolean {
    return this.#hasWritten;
  }

  #set(rows: Map<string, Stored>, key: string, row: Stored): void {
    this.#hasWritten = true;
    rows.set(key, Object.freeze(row));
  }

  sendWithCommit(write: Promise<unknown>): void {
    this.#left.push(write);
    write.catch(() => undefined);
  }

  async commit(): Promise<void> {
    await Promise.all(this.#left);
    for (const [table, rows] of this.#changed) this.#store.set(table, rows);
  }

  async get<T extends TableName>(table: T, key: KeyOf<T>): Promise<Tables[T] | undefined> {
    const row = this.#read(table).get(keyText(keysOf(table).primary, { ...key }));
    return row as Tables[T] | undefined; // rows come in by insert alone, which takes the table's type
  }

  async list<T extends TableName>(table: T, query: Query<Tables[T]> = {}): Promise<readonly Tables[T][]> {
    const rows = select([...this.#read(table).values()], table, query as Query<Stored>);
    return rows as readonly unknown[] as readonly Tables[T][]; // as in get
  }

  async insert<T extends TableName>(table: T, row: Tables[T]): Promise<boolean> {
    const { primary, unique } = keysOf(table);
    const rows = this.#write(table);
    const stored = structuredClone(row) as unknown as Stored; // every row is a plain object
    const taken = [primary, ...unique].some((columns) => {
      if (columns === primary) return rows.has(keyText(primary, stored));
      return [...rows.values()].some((other) => keyText(columns, other) === keyText(columns, stored));
    });
    if (!taken) this.#set(rows, keyText(primary, stored), stored);
    return !taken;
  }

  async insertAll<T extends TableName>(table: T, rows: readonly Tables[T][]): Promise<readonly boolean[]> {
    // All of them at once: what is asked for next sees every one.
    return Promise.all(rows.map((row) => this.insert(table, row)));
  }

  async update<T extends TableName>(table: T, key: KeyOf<T>, changes: Partial<Tables[T]>): Promise<boolean> {
    const text = keyText(keysOf(table).primary, { ...key });
    const rows = this.#write(table);
    const row = rows.get(text);
    if (row !== undefined) this.#set(rows, text, { ...row, ...structuredClone({ ...changes }) });
    return row !== undefined;
  }

  async put<T extends TableName>(table: T, row: Tables[T]): Promise<void> {
    const stored = structuredClone(row) as unknown as Stored; // as in insert
    this.#set(this.#write(table), keyText(keysOf(table).primary, stored), stored);
  }

  async updateAll<T extends TableName>(table: T, rows: readonly (KeyOf<T> & Partial<Tables[T]>)[]): Promise<void> {
    await Promise.all(rows.map((row) => this.update(table, row, row)));
  }

  async remove<T extends TableName>(table: T, key: KeyOf<T>): Promise<boolean> {
    const removed = this.#write(table).delete(keyText(keysOf(table).primary, { ...key }));
    this.#hasWritten ||= removed;
    return removed;
  }

  // Transactions run one after another here, so every name is free.
  async lock(_name: string): Promise<void> {}
}

/** Records in memory, of which a test may act out that the machine under them loses its power. */
export interface MemoryRecords extends Records {
  /** Makes all that is stored durable, as a durable commit of anybody in the same database does. */
  flush(): void;
  /** Loses what was stored `soon` since the last durable commit. */
  cutPower(): void;
}

const isDurable = ({ durable = 'at once' }: TransactionOptions): boolean =>
  (typeof durable === 'function' ? durable() : durable) === 'at once';

/** Records in memory, for tests and for `pipit plan`. Lost when the process ends. */
export const createMemoryRecords = (): MemoryRecords => {
  const store: Store = new Map();
  let onDisk: Store = new Map();
  let last: Promise<unknown> = Promise.resolve();
  const held = new Map<string, Promise<unknown>>();
  // A table's rows are replaced and never changed in place, so that this copies none of them.
  const flush = (): void => {
    onDisk = new Map(store);
  };
  const transact: Records['transaction'] = (work, options = {}) => {
    const result = last.then(async () => {
      const transaction = new MemoryTransaction(store);
      const value = await work(transaction);
      await transaction.commit();
      if (transaction.hasWritten && isDurable(options)) flush();
      return value;
    });
    last = result.catch(() => undefined);
    return result;
  };
  return {
    get: (table, key) => new MemoryTransaction(store).get(table, key),
    list: (table, query) => new MemoryTransaction(store).list(table, query),
    transaction: transact,
    enterStep: (entry) => transact((transaction) => enterStepIn(transaction, entry), { durable: 'soon' }),
    exclusively: (name, work) => {
      const result = (held.get(name) ?? Promise.resolve()).then(work);
      held.set(
        name,
        result.catch(() => undefined),
      );
      return result;
    },
    flush,
    cutPower: () => {
      store.clear();
      for (const [table, rows] of onDisk) store.set(table, rows);
    },
  };
};
