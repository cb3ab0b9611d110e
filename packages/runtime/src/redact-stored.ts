import { isPluginError, isSecret, PluginError } from '@pipit/core';
import type { Records, RecordsTransaction, StepLogs } from '@pipit/pipeline';
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

const redactTransaction = (transaction: RecordsTransaction, redactor: Redactor): RecordsTransaction => ({
  get: (table, key) => transaction.get(table, key),
  list: (table, query) => transaction.list(table, query),
  // A line of the audit trail is hashed before it comes here; what goes into it is redacted where it is written.
  insert: (table, row) => transaction.insert(table, table === 'audit' ? row : redactValue(redactor, row)),
  insertAll: (table, rows) => transaction.insertAll(table, table === 'audit' ? rows : rows.map((row) => redactValue(redactor, row))),
  update: (table, key, changes) => transaction.update(table, key, redactValue(redactor, changes)),
  remove: (table, key) => transaction.remove(table, key),
  lock: (name) => transaction.lock(name),
});

/** Records into which no registered secret gets, whoever writes. */
export const createRedactedRecords = (records: Records, redactor: Redactor): Records => ({
  get: (table, key) => records.get(table, key),
  list: (table, query) => records.list(table, query),
  transaction: (work, options) => records.transaction((transaction) => work(redactTransaction(transaction, redactor)), options),
  exclusively: (name, work) => records.exclusively(name, work),
});

export const createRedactedLogs = (logs: StepLogs, redactor: Redactor): StepLogs => ({
  append: (step, text, at) => logs.append(step, redactor.redact(text), at),
  read: (step, options) => logs.read(step, options),
});
