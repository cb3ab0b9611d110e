import type { Logger, RingRef } from '@pipit/core';
import { type Actor, appendAudit, definitionFor, PIPIT_ACTOR, type PipelineCatalog, type Records, type RingRow } from '@pipit/pipeline';
import { createCall } from './effects.js';

const SETTING = 'quarantine';
const READ_DEADLINE_MS = 15_000;

interface Beyond {
  readonly ring: RingRow;
  readonly sequence: number;
}

export interface Quarantine {
  /** Compares the outside with the database; puts pipit into quarantine when something there is beyond what the database knows (a restored backup). */
  check(): Promise<void>;
  read(): Promise<string | null>;
  /** Takes what the outside says as the database's sequences, and lifts the quarantine. */
  reconcile(actor: Actor, reason: string): Promise<readonly { readonly ring: string; readonly sequence: number }[]>;
}

const nameOf = ({ app, role, ring }: RingRef): string => `${app}/${role}/${ring}`;

export const createQuarantine = (ports: {
  readonly records: Records;
  readonly catalog: PipelineCatalog;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}): Quarantine => {
  const { records, catalog, logger, signal } = ports;

  const findBeyond = async (): Promise<readonly Beyond[]> => {
    const beyond: Beyond[] = [];
    for (const ring of await records.list('rings')) {
      const app = await records.get('apps', { app: ring.app });
      const definition = app && catalog.of(app);
      const advertiser = definition && definitionFor(definition, ring.app).advertiser;
      if (advertiser === undefined) continue;
      const target = { app: ring.app, role: ring.role, ring: ring.ring };
      const { current } = await advertiser.subject.read(
        { ring: target, options: advertiser.options },
        createCall(logger, signal, READ_DEADLINE_MS),
      );
      if (current !== undefined && current.sequence > ring.sequence) beyond.push({ ring, sequence: current.sequence });
    }
    return beyond;
  };

  const read = async (): Promise<string | null> => {
    const row = await records.get('settings', { name: SETTING });
    return row === undefined ? null : String(row.value);
  };

  return {
    read,
    check: async () => {
      let beyond: readonly Beyond[];
      try {
        beyond = await findBeyond();
      } catch (error) {
        // Discovery away is no sign of a restored backup; each rollout compares again before it writes.
        logger.warn({ error }, 'Advertised versions not read; not compared with the database');
        return;
      }
      if (beyond.length === 0 || (await read()) !== null) return;
      const text = beyond
        .map((each) => `${nameOf(each.ring)} is advertised at rollout ${each.sequence}, but the database knows only ${each.ring.sequence}`)
        .join('; ');
      await records.transaction(async (transaction) => {
        await transaction.insert('settings', { name: SETTING, value: text });
        await appendAudit(transaction, { at: new Date(), actor: PIPIT_ACTOR, action: 'quarantine.begin', subject: 'pipit', detail: text });
      });
      logger.error({ reason: text }, 'Quarantine: nothing is done until a person reconciles (pipit reconcile)');
    },
    reconcile: async (actor, reason) => {
      const beyond = await findBeyond();
      await records.transaction(async (transaction) => {
        for (const { ring, sequence } of beyond)
          await transaction.update(
            'rings',
            { app: ring.app, role: ring.role, ring: ring.ring },
            { sequence, state: 'failed', updatedAt: new Date().toISOString() },
          );
        await transaction.remove('settings', { name: SETTING });
        const detail = { reason, rings: beyond.map((each) => ({ ring: nameOf(each.ring), sequence: each.sequence })) };
        await appendAudit(transaction, { at: new Date(), actor, action: 'quarantine.lift', subject: 'pipit', detail });
      });
      return beyond.map((each) => ({ ring: nameOf(each.ring), sequence: each.sequence }));
    },
  };
};
