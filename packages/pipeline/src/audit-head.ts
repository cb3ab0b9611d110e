import { createHash } from 'node:crypto';
import type { AuditHeadRow } from './records/rows.js';

/** The previous head of the first one. */
export const FIRST_HEAD = '0'.repeat(64);

/** What a head's signature is over. */
export const signedTextOfHead = ({ sequence, hash, at, keyId, previousHead }: Omit<AuditHeadRow, 'signature'>): string =>
  JSON.stringify(['pipit-audit-head-1', sequence, hash, at, keyId, previousHead]);

/** What the next head names as the one before it. */
export const hashHead = (head: AuditHeadRow): string =>
  createHash('sha256')
    .update(JSON.stringify([signedTextOfHead(head), head.signature]))
    .digest('hex');

/** What the key before signs when a new key is announced. */
export const signedTextOfKey = (keyId: string, publicKey: string): string => JSON.stringify(['pipit-audit-key-1', keyId, publicKey]);
