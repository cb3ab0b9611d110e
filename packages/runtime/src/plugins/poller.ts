import type { Logger } from '@pipit/core';
import type { Intake, Records } from '@pipit/pipeline';
import type { Redactor } from '@pipit/plugin-kit';
import { createCall } from '../effects.js';
import { systemClock } from '../machine/system-clock.js';
import { refuseSecrets } from '../refuse-secrets.js';
import type { Instances } from './instances.js';

/** How often triggers are polled: finds what a lost webhook did not tell. */
const POLL_MS = 30_000;
const POLL_DEADLINE_MS = 60_000;

export interface Poller {
  start(): void;
  stop(): Promise<void>;
}

/** Polls the triggers that can be polled, on start and then on an interval. Events and cursor go in so that none is lost: events first, the cursor after. */
export const createPoller = (ports: {
  readonly instances: Instances;
  readonly records: Records;
  readonly intake: Intake;
  readonly logger: Logger;
  readonly redactor: Redactor;
}): Poller => {
  const { instances, records, intake, logger, redactor } = ports;
  const stopping = new AbortController();
  let loop: Promise<unknown> | undefined;

  const pollOne = async (instance: string): Promise<void> => {
    const trigger = instances.get(instance)?.trigger;
    if (trigger?.poll === undefined) return;
    const known = await records.get('cursors', { instance });
    const { events, cursor } = await trigger.poll(known?.cursor, createCall(logger, stopping.signal, POLL_DEADLINE_MS));
    // An event that is told again is accepted once, by its key: so a crash between the two loses and doubles nothing.
    for (const event of events)
      await intake.accept({ instance, actor: { name: instance, origin: 'poll' }, inbound: { type: 'change', event }, polled: true });
    if (cursor === known?.cursor) return;
    // Hidden, it would be another place.
    refuseSecrets(redactor, { cursor }, `${instance} (poll)`);
    await records.transaction(async (transaction) => {
      if (!(await transaction.update('cursors', { instance }, { cursor }))) await transaction.insert('cursors', { instance, cursor });
    });
  };

  const run = async (name: string): Promise<void> => {
    while (!stopping.signal.aborted) {
      await pollOne(name).catch((error: unknown) => {
        if (!stopping.signal.aborted) logger.warn({ instance: name, error }, 'Poll failed; the next one tries again');
      });
      await systemClock.sleep(POLL_MS, stopping.signal);
    }
  };

  return {
    start: () => {
      // Each by itself: a trigger that does not answer keeps no other from being polled.
      loop ??= Promise.all(instances.names.map(run));
    },
    stop: async () => {
      stopping.abort();
      await loop;
    },
  };
};
