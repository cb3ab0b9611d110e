import { createPublicKey, verify } from 'node:crypto';
import type { Clock } from '@pipit/core';
import {
  type AuditHeadRow,
  type AuditRow,
  appendAudit,
  FIRST_HEAD,
  findBrokenAudit,
  hashHead,
  PIPIT_ACTOR,
  type Records,
  signedTextOfHead,
  signedTextOfKey,
} from '@pipit/pipeline';
import type { AuditKeys } from './audit-key.js';
import type { RememberedHead } from './remembered-head.js';

/** Lines that are followed with one question. */
const PAGE = 500;

export interface HeadSigner {
  /** Announces the key in the trail, once. */
  announce(): Promise<void>;
  /** Signs the trail's last line when there are lines since the last head. Gives the head; undefined when there is nothing new, or the trail does not fit. */
  sign(): Promise<AuditHeadRow | undefined>;
  /** Why the trail is not as it was when it was signed last; undefined when it is. */
  findFault(): Promise<string | undefined>;
}

/**
 * Signs the audit trail's heads. Before it signs, it follows the chain from the head before, and compares with the head that this server remembers
 * outside of the database: a trail that was rewritten or cut is never signed.
 */
export const createHeadSigner = (ports: {
  readonly records: Records;
  readonly keys: AuditKeys;
  readonly remembered: RememberedHead;
  readonly clock: Clock;
}): HeadSigner => {
  const { records, keys, remembered, clock } = ports;
  const { current, previous } = keys;

  const lastOf = async <T extends 'audit' | 'auditHeads'>(table: T) =>
    (await records.list(table, { orderBy: ['sequence', 'descending'], limit: 1 }))[0];

  const compare = async (head: { readonly sequence: number; readonly hash: string }, where: string): Promise<string | undefined> => {
    const line = await records.get('audit', { sequence: head.sequence });
    if (line === undefined) return `Line ${head.sequence} of the audit trail is gone, which ${where} names`;
    return line.hash === head.hash ? undefined : `Line ${head.sequence} of the audit trail is not the one that ${where} names`;
  };

  const isOwn = (head: AuditHeadRow): boolean =>
    verify(null, Buffer.from(signedTextOfHead(head)), createPublicKey(current.publicKey), Buffer.from(head.signature, 'base64'));

  /** Follows the chain behind a head. A first head signs what is there: what an earlier pipit wrote may have its old fault. */
  const follow = async (head: AuditHeadRow): Promise<string | undefined> => {
    let last: Pick<AuditRow, 'sequence' | 'hash'> = head;
    for (;;) {
      const rows = await records.list('audit', {
        after: { column: 'sequence', value: last.sequence },
        orderBy: ['sequence', 'ascending'],
        limit: PAGE,
      });
      const broken = findBrokenAudit(rows, last.hash);
      if (broken !== undefined) return `The audit trail is broken at line ${broken.sequence}`;
      const end = rows.at(-1);
      if (end === undefined || rows.length < PAGE) return undefined;
      last = end;
    }
  };

  const findFault = async (): Promise<string | undefined> => {
    const known = await remembered.read();
    const fault = known === undefined ? undefined : await compare(known, remembered.path);
    if (fault !== undefined) return fault;
    const head = await lastOf('auditHeads');
    if (head === undefined) return undefined;
    if (head.keyId === current.id && !isOwn(head)) return `The head of the audit trail's line ${head.sequence} does not have our signature`;
    return (await compare(head, 'its signed head')) ?? (await follow(head));
  };

  const signNew = async (): Promise<AuditHeadRow | undefined> => {
    const last = await lastOf('audit');
    const before = await lastOf('auditHeads');
    if (last === undefined || last.sequence <= (before?.sequence ?? 0)) return undefined;
    if ((await findFault()) !== undefined) return undefined;
    const unsigned = {
      sequence: last.sequence,
      hash: last.hash,
      at: clock.now().toISOString(),
      keyId: current.id,
      previousHead: before === undefined ? FIRST_HEAD : hashHead(before),
    };
    const head = { ...unsigned, signature: current.sign(signedTextOfHead({ ...unsigned })) };
    await records.transaction((transaction) => transaction.insert('auditHeads', head));
    await remembered.write(head);
    return head;
  };

  return {
    findFault,
    announce: () =>
      records.transaction(async (transaction) => {
        const known = await transaction.list('audit', { where: { action: 'audit.key', subject: current.id }, limit: 1 });
        if (known.length > 0) return;
        const signature = previous?.sign(signedTextOfKey(current.id, current.publicKey)) ?? null;
        const detail = { publicKey: current.publicKey, previousKey: previous?.id ?? null, signature };
        await appendAudit(transaction, { at: clock.now(), actor: PIPIT_ACTOR, action: 'audit.key', subject: current.id, detail });
      }),
    // One after the other, over all servers of the database.
    sign: () => records.exclusively('audit heads', signNew),
  };
};
