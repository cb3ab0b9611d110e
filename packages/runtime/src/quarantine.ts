import type { Logger, RingRef } from '@pipit/core';
import { type Actor, appendAudit, definitionFor, PIPIT_ACTOR, type PipelineCatalog, type Records, type RingRow } from '@pipit/pipeline';
import { mapInTime } from '@pipit/plugin-kit';
import { createCall } from './effects.js';

const SETTING = 'quarantine';
const READ_DEADLINE_MS = 15_000;

/** Rings compared at once, and for how long further ones are started. */
const COMPARE_LIMITS = { atOnce: 16, startWithinMs: 60_000 } as const;

interface Comparison {
  readonly beyond: readonly Beyond[];
  /** By the ring's name. */
  readonly failures: ReadonlyMap<string, unknown>;
}

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

  /** null: the outside is not ahead. */
  const readOutside = async (ring: RingRow): Promise<Beyond | null> => {
    const app = await records.get('apps', { app: ring.app });
    const definition = app && catalog.of(app);
    const advertiser = definition && definitionFor(definition, ring.app).advertiser;
    if (advertiser === undefined) return null;
    const target = { app: ring.app, role: ring.role, ring: ring.ring };
    const call = createCall(logger, signal, READ_DEADLINE_MS);
    const { current } = await advertiser.subject.read({ ring: target, options: advertiser.options }, call);
    return current !== undefined && current.sequence > ring.sequence ? { ring, sequence: current.sequence } : null;
  };

  /** An advertiser that does not answer keeps no other ring from being compared. */
  const compare = async (): Promise<Comparison> => {
    const rings = await records.list('rings');
    const call = createCall(logger, signal, READ_DEADLINE_MS);
    const failures = new Map<string, unknown>();
    const found = await mapInTime(rings, { call, ...COMPARE_LIMITS }, (ring) =>
      readOutside(ring).catch((error: unknown) => {
        failures.set(nameOf(ring), error);
        return null;
      }),
    );
    for (const [index, ring] of rings.entries())
      if (found[index] === undefined) failures.set(nameOf(ring), new Error('the advertisers of other rings took too long to answer'));
    return { beyond: found.filter((each) => each != null), failures };
  };

  const read = async (): Promise<string | null> => {
    const row = await records.get('settings', { name: SETTING });
    return row === undefined ? null : String(row.value);
  };

  return {
    read,
    check: async () => {
      const { beyond, failures } = await compare();
      // Discovery away is no sign of a restored backup; each rollout compares again before it writes.
      for (const [ring, error] of failures) logger.warn({ ring, error }, 'Advertised version not read; not compared with the database');
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
      const { beyond, failures } = await compare();
      for (const error of failures.values()) throw error;
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
