import { isPluginError, isSecret, PluginError } from '@pipit/core';
import {
  type AuditRow,
  hashAudit,
  type Records,
  type RecordsTransaction,
  type StepLogs,
  type TableName,
  type Tables,
} from '@pipit/pipeline';
import type { Redactor } from '@pipit/plugin-kit';

/** The value with every registered secret hidden in every text of it, however deep. */
export const redactValue = <T>(redactor: Redactor, value: T): T => {
  const walk = (each: unknown): unknown => {
    if (typeof each === 'string') return redactor.redact(each);
    if (Array.isArray(each)) return each.map(walk);
    if (typeof each !== 'object' || each === null || isSecret(each)) return each;
    return Object.fromEntries(Object.entries(each).map(([key, inner]) => [key, walk(inner)]));
  };
  return walk(value) as T; // only texts changed
};

/** An error as it may be kept and shown: a tool's last words may hold the address, credential and all, that it could not reach. */
export const redactError = (redactor: Redactor, thrown: unknown): unknown => {
  if (
    !(thrown instanceof Error) ||
    redactor.redact(`${thrown.message}${String(thrown.stack)}`) === `${thrown.message}${String(thrown.stack)}`
  )
    return thrown;
  const message = redactor.redact(thrown.message);
  if (!isPluginError(thrown)) return new Error(message);
  const { code, hint, recovery } = thrown;
  return new PluginError({ code, message, recovery, ...(hint === undefined ? {} : { hint: redactor.redact(hint) }) });
};

/** Lines of the audit trail that follow each other: hashed before they came here, so hashed anew where something was hidden. */
const redactAudit = (redactor: Redactor, rows: readonly AuditRow[]): readonly AuditRow[] => {
  let previousHash: string | undefined;
  return rows.map((given) => {
    const { hash: _hash, ...row } = { ...redactValue(redactor, given), previousHash: previousHash ?? given.previousHash };
    previousHash = hashAudit(row);
    return { ...row, hash: previousHash };
  });
};

const redactRows = <T extends TableName>(redactor: Redactor, table: T, rows: readonly Tables[T][]): readonly Tables[T][] =>
  table === 'audit'
    ? (redactAudit(redactor, rows as readonly unknown[] as readonly AuditRow[]) as readonly unknown[] as readonly Tables[T][]) // the table's own rows
    : rows.map((row) => redactValue(redactor, row));

const redactTransaction = (transaction: RecordsTransaction, redactor: Redactor): RecordsTransaction => ({
  get: (table, key) => transaction.get(table, key),
  list: (table, query) => transaction.list(table, query),
  insert: async (table, row) => (await transaction.insertAll(table, redactRows(redactor, table, [row])))[0] ?? false,
  insertAll: (table, rows) => transaction.insertAll(table, redactRows(redactor, table, rows)),
  put: (table, row) => transaction.put(table, redactValue(redactor, row)),
  updateAll: (table, rows) => transaction.updateAll(table, redactValue(redactor, rows)),
  update: (table, key, changes) => transaction.update(table, key, redactValue(redactor, changes)),
  remove: (table, key) => transaction.remove(table, key),
  lock: (name) => transaction.lock(name),
  sendWithCommit: (write) => transaction.sendWithCommit(write),
});

/** Records into which no registered secret gets, whoever writes. */
export const createRedactedRecords = (records: Records, redactor: Redactor): Records => ({
  get: (table, key) => records.get(table, key),
  list: (table, query) => records.list(table, query),
  transaction: (work, options) => records.transaction((transaction) => work(redactTransaction(transaction, redactor)), options),
  enterStep: (entry) => records.enterStep(entry),
  exclusively: (name, work) => records.exclusively(name, work),
});

export const createRedactedLogs = (logs: StepLogs, redactor: Redactor): StepLogs => ({
  append: (step, text, at) => logs.append(step, redactor.redact(text), at),
  read: (step, options) => logs.read(step, options),
});
