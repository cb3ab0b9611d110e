import { createHash } from 'node:crypto';
import { type Json, storableText } from '@pipit/core';
import { storableDetail } from './audit-detail.js';
import type { Preset } from './authorize.js';
import type { RecordsTransaction } from './ports/records.js';
import type { AuditRow } from './records/rows.js';

/** Who does something, from where. */
export interface Actor {
  /** For example `github`, `token:main`, `pipit`. */
  readonly name: string;
  /** An address, `cli`, or `pipit` for what pipit does by itself. */
  readonly origin: string;
  /** What it may do: see {@link authorize}. Absent: code of this process, which may do everything. */
  readonly preset?: Preset;
}

export const PIPIT_ACTOR: Actor = { name: 'pipit', origin: 'pipit' };

export interface AuditEntry {
  readonly at: Date;
  readonly actor: Actor;
  /** For example `run.promote`. */
  readonly action: string;
  /** What was acted on, for example a run's id. */
  readonly subject: string;
  /** Never a secret. */
  readonly detail?: Json;
}

/** The hash before the first line. */
export const AUDIT_GENESIS = '0'.repeat(64);

/** JSON with sorted keys: a database that reorders them must not change a hash. */
const canonical = (value: Json): string => {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`).join(',')}}`;
};

export const hashAudit = (row: Omit<AuditRow, 'hash'>): string =>
  createHash('sha256')
    .update(canonical([row.sequence, row.at, row.actor, row.origin, row.action, row.subject, row.detail, row.previousHash]))
    .digest('hex');

/** Takes the chain's lock, which is held until the commit, and gives what appends to the chain; call that once. */
export const openAudit = async (transaction: RecordsTransaction): Promise<(...entries: readonly AuditEntry[]) => void> => {
  const [, [last]] = await Promise.all([
    transaction.lock('audit'),
    transaction.list('audit', { orderBy: ['sequence', 'descending'], limit: 1 }),
  ]);
  return (...entries) => transaction.sendWithCommit(transaction.insertAll('audit', chainAudit(last, entries)));
};

/** Appends to the hash chain. Take it last in a transaction: it holds the chain's lock until the commit. */
export const appendAudit = async (transaction: RecordsTransaction, ...entries: readonly AuditEntry[]): Promise<void> => {
  const append = await openAudit(transaction);
  append(...entries);
};

/** Longer than any name or address; a longer text is cut. */
const MAX_TEXT_LENGTH = 2_000;

const lineText = (text: string): string => storableText(text.slice(0, MAX_TEXT_LENGTH));

const chainAudit = (last: AuditRow | undefined, entries: readonly AuditEntry[]): readonly AuditRow[] => {
  let sequence = last?.sequence ?? 0;
  let previousHash = last?.hash ?? AUDIT_GENESIS;
  const rows: AuditRow[] = [];
  for (const entry of entries) {
    sequence += 1;
    // What is hashed is what every records give back: nothing that stores the line may change it any more.
    const row = {
      sequence,
      at: entry.at.toISOString(),
      actor: lineText(entry.actor.name),
      origin: lineText(entry.actor.origin),
      action: lineText(entry.action),
      subject: lineText(entry.subject),
      detail: storableDetail(entry.detail ?? null),
      previousHash,
    };
    const hash = hashAudit(row);
    rows.push({ ...row, hash });
    previousHash = hash;
  }
  return rows;
};

/** The first line whose hash or place does not fit, or undefined when the chain is whole. Give it rows in order. */
export const findBrokenAudit = (rows: readonly AuditRow[], previousHash: string = AUDIT_GENESIS): AuditRow | undefined => {
  let expected = previousHash;
  for (const row of rows) {
    if (row.previousHash !== expected || hashAudit(row) !== row.hash) return row;
    expected = row.hash;
  }
  return undefined;
};
