import type { Logger } from '@pipit/core';
import { batchCalls } from '../batch-calls.js';
import { markHandled } from '../intake/handle-event.js';
import type { Verdict } from '../intake/start-run.js';
import { backoffMs } from '../operations/backoff.js';
import type { PipelineClock } from '../ports/clock.js';
import type { Records } from '../ports/records.js';
import type { EventId } from '../records/ids.js';
import type { EventRow } from '../records/rows.js';
import { limitQuickWork } from './limit-concurrency.js';

/** Handling an event may query git. In a flood of webhooks, connections and CPU go to those that are still to be answered. */
const QUICK = { atOnce: 4, quickMs: 1_000, slowAtOnce: 64 } as const;
/** In a flood, so many milliseconds' events are looked at together. One that comes alone is looked at at once. */
const FLOOD_PAUSE_MS = 25;
/** Events read, or marked as handled, by one query at most. */
const MAX_EVENTS_TOGETHER = 256;
/** Lanes that one sweep looks at; the next sweep goes on behind them. */
const MAX_LANES_A_SWEEP = 500;
/** One event may fetch a large repository for the first time. */
const EVENT_DEADLINE_MS = 10 * 60_000;
/** After so many events that could not be handled, a lane rests: its repository does not answer. */
const MAX_FAILURES_A_PASS = 3;
const REST = { firstMs: 500, longestMs: 60_000 } as const;

export interface EventLanesPorts {
  readonly records: Records;
  readonly clock: PipelineClock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly stopping: AbortSignal;
  /** Decides what becomes of an event; see `judgeEvent`. */
  readonly judge: (event: EventRow, signal: AbortSignal) => Promise<Verdict>;
  /** Called when an event is handled, with what became of it. */
  readonly onHandled: (verdict: Verdict) => void;
}

export interface EventLanes {
  /** Handles what a lane has now, and not at the next sweep. */
  wake(lane: string): void;
  /** Starts each lane that has open events; waits for none of them. */
  sweep(): Promise<void>;
  /** Returns when nothing is under way any more. */
  settle(): Promise<void>;
}

interface Lane {
  readonly work: Promise<void>;
  /** Whether something came that the work may not have seen. */
  again: boolean;
}

/**
 * Handles durable events: those of one lane one after another, in the order in which they were accepted, and each lane apart from the others.
 * A repository that does not answer delays its own events and nobody else's.
 */
export const createEventLanes = (ports: EventLanesPorts): EventLanes => {
  const { records, clock, logger, stopping } = ports;
  const lanes = new Map<string, Lane>();
  const inSlot = limitQuickWork({ ...QUICK, clock });
  let sweptTo: string | undefined;

  const isQuarantined = async (): Promise<boolean> => (await records.get('settings', { name: 'quarantine' })) !== undefined;

  const readFirst = batchCalls(
    MAX_EVENTS_TOGETHER,
    async (names: readonly string[]): Promise<readonly (EventRow | undefined)[]> => {
      const [rows, quarantined] = await Promise.all([
        records.list('events', { where: { lane: names, state: 'received' }, firstOfEach: 'lane' }),
        isQuarantined(),
      ]);
      const byLane = new Map(quarantined ? [] : rows.map((row) => [row.lane, row]));
      return names.map((name) => byLane.get(name));
    },
    () => clock.sleep(FLOOD_PAUSE_MS, stopping),
  );

  const readBehind = async (lane: string, id: EventId): Promise<EventRow | undefined> => {
    if (await isQuarantined()) return undefined;
    const after = { column: 'id', value: id } as const;
    return (await records.list('events', { where: { lane, state: 'received' }, after, limit: 1 }))[0];
  };

  const mark = batchCalls(MAX_EVENTS_TOGETHER, async (events: readonly (Verdict & Pick<EventRow, 'id'>)[]) => {
    await markHandled(records, events);
    return events.map(() => undefined);
  });

  /** @returns whether it is handled */
  const handle = async (event: EventRow): Promise<boolean> => {
    const deadline = new AbortController();
    const over = new AbortController();
    void clock.sleep(EVENT_DEADLINE_MS, over.signal).then(() => deadline.abort());
    try {
      const verdict = await inSlot(() => ports.judge(event, AbortSignal.any([stopping, deadline.signal])));
      await mark({ id: event.id, ...verdict });
      ports.onHandled(verdict);
      return true;
    } catch (error) {
      if (!stopping.aborted) logger.warn({ eventId: event.id, lane: event.lane, error }, 'Event not handled; it is tried again');
      return false;
    } finally {
      over.abort();
    }
  };

  /**
   * Handles a lane's events from the first one on, or from behind the one that could not be handled last: that one keeps no other from being handled.
   *
   * @returns where the next pass begins, and how many events this one could not handle
   */
  const pass = async (name: string, lane: Pick<Lane, 'again'>, from: EventId | undefined) => {
    let failures = 0;
    let behind = from;
    while (!stopping.aborted && failures < MAX_FAILURES_A_PASS) {
      lane.again = false;
      const event = await (behind === undefined ? readFirst(name) : readBehind(name, behind));
      if (event === undefined && lane.again && failures === 0) continue;
      if (event === undefined) return { behind: undefined, failures };
      const isHandled = await handle(event);
      if (!isHandled) failures += 1;
      if (!isHandled || behind !== undefined) behind = event.id;
    }
    return { behind, failures };
  };

  const work = async (name: string, lane: Pick<Lane, 'again'>): Promise<void> => {
    let behind: EventId | undefined;
    let rests = 0;
    while (!stopping.aborted) {
      const passed = await pass(name, lane, behind);
      if (passed.failures === 0 && passed.behind === undefined && behind === undefined) return;
      behind = passed.behind;
      if (passed.failures === 0) continue;
      rests += 1;
      await clock.sleep(backoffMs(rests, ports.random, REST), stopping);
    }
  };

  const start = (name: string): void => {
    const known = lanes.get(name);
    if (known !== undefined) known.again = true;
    if (known !== undefined || stopping.aborted) return;
    const state = { again: false };
    const lane = Object.assign(state, {
      work: work(name, state)
        .catch((error: unknown) => logger.warn({ lane: name, error }, 'Events not read; the next sweep tries again'))
        .finally(() => {
          lanes.delete(name);
          if (state.again) start(name);
        }),
    });
    lanes.set(name, lane);
  };

  return {
    wake: start,
    sweep: async () => {
      const open = await records.list('events', {
        where: { state: 'received' },
        firstOfEach: 'lane',
        limit: MAX_LANES_A_SWEEP,
        ...(sweptTo === undefined ? {} : { after: { column: 'lane', value: sweptTo } }),
      });
      sweptTo = open.length < MAX_LANES_A_SWEEP ? undefined : open.at(-1)?.lane;
      for (const { lane } of open) start(lane);
    },
    settle: async () => {
      await Promise.all([...lanes.values()].map((lane) => lane.work));
    },
  };
};
