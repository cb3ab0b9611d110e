import type { RunId } from '../records/ids.js';
import type { StepRow } from '../records/rows.js';
import type { KeyOf, TableName, Tables } from '../records/tables.js';

export interface Query<Row> {
  /** Equality; a list means any of them; null means null. */
  readonly where?: { readonly [C in keyof Row]?: Row[C] | readonly Row[C][] };
  /** Rows whose column is not null and at most this value. */
  readonly atMost?: { readonly column: keyof Row & string; readonly value: string | number };
  /** Rows whose column is not null and greater than this value: for paging in ascending order. */
  readonly after?: { readonly column: keyof Row & string; readonly value: string | number };
  /** Rows whose column is not null and less than this value: for paging in descending order. */
  readonly before?: { readonly column: keyof Row & string; readonly value: string | number };
  /** Of the rows that share a value of this column, only the first by the primary key. The rows come in the order of this column; `orderBy` is not heeded. */
  readonly firstOfEach?: keyof Row & string;
  /** Default: by the primary key, ascending. Compared as numbers or by code point, never by locale. */
  readonly orderBy?: readonly [column: keyof Row & string, direction: 'ascending' | 'descending'];
  readonly limit?: number;
}

export interface RecordsReader {
  get<T extends TableName>(table: T, key: KeyOf<T>): Promise<Tables[T] | undefined>;
  list<T extends TableName>(table: T, query?: Query<Tables[T]>): Promise<readonly Tables[T][]>;
}

export interface RecordsTransaction extends RecordsReader {
  /** False, and nothing is written, when the primary key or a unique key is taken. */
  insert<T extends TableName>(table: T, row: Tables[T]): Promise<boolean>;
  /** The same for many rows, in as few round trips as can be: one answer a row, in their order. */
  insertAll<T extends TableName>(table: T, rows: readonly Tables[T][]): Promise<readonly boolean[]>;
  /** Inserts the row, or puts it in the place of the one that has its primary key. */
  put<T extends TableName>(table: T, row: Tables[T]): Promise<void>;
  /** False when there is no such row. */
  update<T extends TableName>(table: T, key: KeyOf<T>, changes: Partial<Tables[T]>): Promise<boolean>;
  /** Changes many rows at once: each names its key, and all name the same columns. One that is not there is left out. */
  updateAll<T extends TableName>(table: T, rows: readonly (KeyOf<T> & Partial<Tables[T]>)[]): Promise<void>;
  /** False when there was no such row. */
  remove<T extends TableName>(table: T, key: KeyOf<T>): Promise<boolean>;
  /**
   * Waits until no other transaction, of any replica, holds this name; held until the transaction ends. Take several in sorted order.
   * Questions are answered in the order in which they are asked, so that a read that is asked for right behind it, without waiting, sees what was
   * stored before the name was free.
   */
  lock(name: string): Promise<void>;
  /**
   * Leaves a write, just asked for, to the commit: `work` need not wait for its answer, so that both take one round trip. What is asked for behind it
   * sees it. When it fails, nothing of the transaction is stored, and that is the transaction's error.
   */
  sendWithCommit(write: Promise<unknown>): void;
}

export interface TransactionOptions {
  /**
   * `soon`: for what shows people how far something is. It outlives pipit's own death at any moment; when the database's machine dies, the last
   * half second of it may be gone, unless something durable was stored after it. Default `at once`. A function is asked when `work` has returned.
   */
  readonly durable?: 'at once' | 'soon' | (() => 'at once' | 'soon');
  /** `work` makes one write at most and takes no lock, so that it costs one round trip. What it reads is read before, outside of a transaction. */
  readonly oneWrite?: boolean;
}

/** A try of a step that is to begin. */
export interface StepEntry extends Pick<StepRow, 'operationId' | 'name' | 'position'> {
  readonly runId: RunId;
  /** Whether a cancel of the run that came before ends it here. */
  readonly cancellable: boolean;
  readonly at: string;
}

/** `cancelled`, `quarantined`: the try did not begin, and nothing is stored of it. `attempt` counts from 1, over restarts and replicas. */
export type EnteredStep =
  | { readonly state: 'entered'; readonly attempt: number }
  | { readonly state: 'cancelled' }
  | { readonly state: 'quarantined' };

/**
 * The truth: what is intended, and what was found. Implemented on PostgreSQL and in memory; both pass one conformance suite.
 * A database that cannot be reached throws a PluginError `DATABASE_UNAVAILABLE` with recovery `reconcile` inside a transaction's commit, else `retry`.
 */
export interface Records extends RecordsReader {
  /** All or nothing: a throw rolls back. Read committed; take {@link RecordsTransaction.lock} for what must not race. `work` may be called again after a serialization failure or deadlock. Durable (fsync) when it returns, unless `options` says otherwise. */
  transaction<T>(work: (transaction: RecordsTransaction) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /**
   * Begins a try of a step, unless its run is cancelled or effects are in quarantine: one question, for each step asks it. A step that is begun
   * again keeps its first start. Durable `soon`.
   */
  enterStep(entry: StepEntry): Promise<EnteredStep>;
  /**
   * Runs `work` while nothing else of this name runs, over all replicas; outside a transaction (`work` may begin its own). Set free when the process dies.
   * Apart from {@link RecordsTransaction.lock}: the names of the two never meet.
   */
  exclusively<T>(name: string, work: () => Promise<T>): Promise<T>;
}

export interface LogPiece {
  /** From 1, without gaps within the step. */
  readonly sequence: number;
  readonly at: string;
  readonly text: string;
}

/** Logs of steps, apart from the records: capped, the tail kept. Texts arrive redacted. */
export interface StepLogs {
  append(step: { readonly operationId: string; readonly step: string }, text: string, at: string): Promise<void>;
  /** In order. Without `after`, the last `maxBytes` (default 64 KiB); with it, what came later. */
  read(
    step: { readonly operationId: string; readonly step?: string },
    options?: { readonly after?: number; readonly maxBytes?: number },
  ): Promise<{ readonly pieces: readonly (LogPiece & { readonly step: string })[]; readonly truncated: boolean }>;
}
