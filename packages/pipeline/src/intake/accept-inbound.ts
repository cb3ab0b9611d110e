import { createHash } from 'node:crypto';
import { type Inbound, storableJson } from '@pipit/core';
import { type Actor, type AuditEntry, openAudit } from '../audit.js';
import { batchCalls } from '../batch-calls.js';
import type { IdSource, PipelineClock } from '../ports/clock.js';
import type { Records } from '../ports/records.js';
import type { EventId } from '../records/ids.js';
import type { EventRow } from '../records/rows.js';

export interface Delivery {
  readonly instance: string;
  readonly actor: Actor;
  readonly inbound: Inbound;
  /** Whether a poll found it; default false: the outside reported it. */
  readonly polled?: boolean;
}

export interface Accepted {
  readonly eventId: EventId;
  /** Whether this delivery had been accepted before. */
  readonly repeated: boolean;
}

/** What one lane has: the changes of one repository, or the reports of one kind of one instance. None of them waits for another lane's. */
export const laneOf = (instance: string, inbound: Inbound): string =>
  JSON.stringify(inbound.type === 'change' ? [instance, inbound.event.repository.id] : [instance, inbound.type]);

/** The sender's own key of what it reported; a hash of it where it has none. */
export const inboundKeyOf = (inbound: Inbound): string =>
  inbound.type === 'change' ? inbound.event.key : createHash('sha256').update(JSON.stringify(inbound)).digest('hex');

/** Deliveries stored by one transaction at most: bounds its size under load. */
const MAX_BATCH = 256;

export interface Intake {
  /** Returns when the event is durable. One delivery key of one instance is accepted once; a repetition gets the first one's id. */
  accept(delivery: Delivery): Promise<Accepted>;
}

/**
 * Makes deliveries durable. Those that arrive while a commit is under way share the next one (a group commit), so that one slow disk flush
 * answers many webhooks.
 */
export const createIntake = (ports: {
  readonly records: Records;
  readonly clock: PipelineClock;
  readonly ids: IdSource;
  /** Called with the lane of an event that is new. */
  readonly onAccepted: (lane: string) => void;
}): Intake => {
  const { records, clock, ids } = ports;

  const store = (batch: readonly Delivery[]): Promise<readonly Accepted[]> =>
    records.transaction(async (transaction) => {
      const at = clock.now();
      const rows = batch.map(
        ({ instance, inbound, polled = false }): EventRow => ({
          id: ids.next() as EventId, // this is where event ids are made
          instance,
          key: inboundKeyOf(inbound),
          lane: laneOf(instance, inbound),
          polled,
          type: inbound.type,
          body: inbound,
          receivedAt: at.toISOString(),
          state: 'received',
          outcome: null,
          runId: null,
        }),
      );
      // The trail is locked with the transaction's beginning: a round trip less, and batches of replicas follow each other anyway.
      const [append, written] = [await openAudit(transaction), await transaction.insertAll('events', rows)];
      const accepted: Accepted[] = [];
      const lines: AuditEntry[] = [];
      for (const [index, { id, instance, key, type }] of rows.entries()) {
        const actor = batch[index]?.actor;
        if (written[index] === true && actor !== undefined) {
          accepted.push({ eventId: id, repeated: false });
          lines.push({ at, actor, action: 'event.accept', subject: id, detail: { instance, type, key } });
        } else {
          const [known] = await transaction.list('events', { where: { instance, key }, limit: 1 });
          accepted.push({ eventId: known?.id ?? id, repeated: true });
        }
      }
      if (lines.length > 0) append(...lines);
      return accepted;
    });

  const storeTogether = batchCalls(MAX_BATCH, store);

  return {
    accept: async (delivery) => {
      // Parsed back as what it was: only texts changed. A push is not lost because of its author's name.
      const inbound = JSON.parse(storableJson(delivery.inbound)) as Inbound;
      const accepted = await storeTogether({ ...delivery, inbound });
      if (!accepted.repeated) ports.onAccepted(laneOf(delivery.instance, inbound));
      return accepted;
    },
  };
};
