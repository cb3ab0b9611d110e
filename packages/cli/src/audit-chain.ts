import { createHash } from 'node:crypto';
import type { Json } from '@pipit/core';
import type { Api } from '@pipit/runtime';
import { isOldFault } from './old-audit-fault.js';

export type AuditRow = Awaited<ReturnType<Api['listAudit']>>['rows'][number];

/** The hash before the first line. */
export const FIRST_HASH = '0'.repeat(64);

/** Keys sorted: whatever a database or a server did to their order does not count. */
const canonical = (value: Json): string => {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`).join(',')}}`;
};

export const hashOf = ({ sequence, at, actor, origin, action, subject, detail, previousHash }: AuditRow): string =>
  createHash('sha256')
    .update(canonical([sequence, at, actor, origin, action, subject, detail, previousHash]))
    .digest('hex');

/** What following the hashes found. */
export interface ChainVerdict {
  /** The first line that was changed, or before which one was taken out; undefined when the chain is whole. */
  readonly broken: AuditRow | undefined;
  /** Lines whose stored text is not what was hashed, by a fault of earlier versions that is proved: nobody changed them. */
  readonly faulty: readonly AuditRow[];
}

/**
 * Follows the chain from its first line on.
 * Written apart from the code that makes the chain, so that a mistake there does not verify itself; a recorded trail proves them equal.
 *
 * @param rows in order, from the first line on
 */
export const followChain = (rows: readonly AuditRow[]): ChainVerdict => {
  let expected = FIRST_HASH;
  const faulty: AuditRow[] = [];
  for (const [at, row] of rows.entries()) {
    if (row.sequence !== at + 1 || row.previousHash !== expected) return { broken: row, faulty };
    if (hashOf(row) !== row.hash) {
      if (!isOldFault(row, (each) => hashOf(each) === row.hash)) return { broken: row, faulty };
      faulty.push(row);
    }
    expected = row.hash;
  }
  return { broken: undefined, faulty };
};
