import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { Api } from '@pipit/runtime';
import type { AuditRow } from './audit-chain.js';

export type AuditHeadRow = Awaited<ReturnType<Api['listAuditHeads']>>['rows'][number];

/** The previous head of the first one. */
const FIRST_HEAD = '0'.repeat(64);

const signedText = ({ sequence, hash, at, keyId, previousHead }: AuditHeadRow): string =>
  JSON.stringify(['pipit-audit-head-1', sequence, hash, at, keyId, previousHead]);

const hashOf = (head: AuditHeadRow): string =>
  createHash('sha256')
    .update(JSON.stringify([signedText(head), head.signature]))
    .digest('hex');

const isSigned = (text: string, signature: string, key: KeyObject): boolean =>
  verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64'));

/** @throws TypeError for what is not an ed25519 public key */
export const parsePublicKey = (pem: string): { readonly id: string; readonly key: KeyObject } => {
  const key = createPublicKey(pem);
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('not an ed25519 key');
  const der = key.export({ type: 'spki', format: 'der' });
  return { id: createHash('sha256').update(der).digest('hex').slice(0, 32), key };
};

interface Announcement {
  readonly id: string;
  readonly publicKey: string;
  readonly previousKey: string | null;
  readonly signature: string | null;
}

const announcementOf = ({ action, subject, detail }: AuditRow): Announcement | undefined => {
  if (action !== 'audit.key' || typeof detail !== 'object' || detail === null || !('publicKey' in detail)) return undefined;
  const { publicKey, previousKey, signature } = detail;
  const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  return { id: subject, publicKey: text(publicKey) ?? '', previousKey: text(previousKey), signature: text(signature) };
};

const parseAnnounced = ({ id, publicKey }: Announcement): KeyObject | undefined => {
  try {
    const parsed = parsePublicKey(publicKey);
    return parsed.id === id ? parsed.key : undefined;
  } catch {
    return undefined; // somebody else's line
  }
};

/** The keys that are believed: those that were given and, in the order of the trail, those that a believed key vouches for. Without a given one, all that the trail announces. */
const believedKeys = (rows: readonly AuditRow[], given: readonly string[]): ReadonlyMap<string, KeyObject> => {
  const believed = new Map(given.map((pem) => parsePublicKey(pem)).map(({ id, key }) => [id, key]));
  for (const row of rows) {
    const announced = announcementOf(row);
    const key = announced && parseAnnounced(announced);
    if (announced === undefined || key === undefined) continue;
    const voucher = believed.get(announced.previousKey ?? '');
    const text = JSON.stringify(['pipit-audit-key-1', announced.id, announced.publicKey]);
    const isVouched = voucher !== undefined && announced.signature !== null && isSigned(text, announced.signature, voucher);
    if (given.length === 0 || isVouched) believed.set(announced.id, key);
  }
  return believed;
};

export interface HeadsVerdict {
  readonly count: number;
  /** The last line that a believed head signs; null: none. */
  readonly signedUpTo: number | null;
  /** What does not fit, in sentences. */
  readonly problems: readonly string[];
}

/**
 * Checks signed heads against the lines of a trail that was followed already. Written apart from the code that makes them, as the chain's check is.
 *
 * @param publicKeys PEM; without one only the trail itself says whose keys they are, which says nothing about who rewrote all of it
 */
export const verifyHeads = (rows: readonly AuditRow[], heads: readonly AuditHeadRow[], publicKeys: readonly string[]): HeadsVerdict => {
  const believed = believedKeys(rows, publicKeys);
  const hashes = new Map(rows.map(({ sequence, hash }) => [sequence, hash]));
  const problems: string[] = [];
  let previousHead = FIRST_HEAD;
  let signedUpTo: number | null = null;
  let strangers: number[] = [];
  for (const head of [...heads].sort((one, other) => one.sequence - other.sequence)) {
    const { sequence } = head;
    if (head.previousHead !== previousHead) problems.push(`a head before the one of line ${sequence} was taken out or changed`);
    previousHead = hashOf(head);
    const key = believed.get(head.keyId);
    if (key === undefined) {
      strangers.push(sequence);
      continue;
    }
    if (!isSigned(signedText(head), head.signature, key)) problems.push(`the head of line ${sequence} does not have its key's signature`);
    else if (!hashes.has(sequence)) problems.push(`line ${sequence} is gone, which a head signs`);
    else if (hashes.get(sequence) !== head.hash) problems.push(`line ${sequence} is not the one that its head signs`);
    else {
      signedUpTo = sequence;
      strangers = []; // what came before a believed head is believed with it
    }
  }
  for (const sequence of strangers) problems.push(`the head of line ${sequence} is of a key that none of the given ones vouches for`);
  if (publicKeys.length > 0 && signedUpTo === null) problems.push('no head is signed by the given key');
  return { count: heads.length, signedUpTo, problems };
};
