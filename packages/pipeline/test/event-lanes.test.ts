import { createTestLogger } from '@pipit/plugin-testing';
import { expect, it } from 'vitest';
import { createEventLanes, type EventLanes } from '../src/conduct/event-lanes.js';
import { createMemoryRecords, type EventRow, type MemoryRecords } from '../src/index.js';
import { nothing } from '../src/intake/start-run.js';
import { createWorldClock, type WorldClock } from './world/world-clock.js';

interface Bench {
  readonly records: MemoryRecords;
  readonly clock: WorldClock;
  readonly lanes: EventLanes;
  readonly stopping: AbortController;
  /** Events in the order in which they were handled. */
  readonly handled: string[];
  /** Until the condition holds; time passes only when nothing else does. */
  until(condition: () => boolean): Promise<void>;
}

/** @param judge resolves, throws or hangs */
const createBench = (judge: (event: EventRow, signal: AbortSignal) => Promise<void>): Bench => {
  const records = createMemoryRecords();
  const clock = createWorldClock();
  const handled: string[] = [];
  const stopping = new AbortController();
  const lanes = createEventLanes({
    records,
    clock,
    logger: createTestLogger(),
    random: () => 0.5,
    stopping: stopping.signal,
    judge: async (event, signal) => {
      await judge(event, signal);
      handled.push(event.id);
      return nothing('done');
    },
    onHandled: () => undefined,
  });
  return {
    records,
    clock,
    lanes,
    stopping,
    handled,
    until: async (condition) => {
      const end = clock.time + 60 * 60_000;
      for (let turn = 0; !condition(); turn += 1) {
        await new Promise((resolve) => setImmediate(resolve));
        if (turn % 20 === 19 && !clock.advanceToNext()) throw new Error(`Nobody sleeps; handled: ${handled.join(', ')}`);
        if (clock.time > end) throw new Error(`An hour has passed; handled: ${handled.join(', ')}`);
      }
    },
  };
};

const store = async ({ records }: Bench, lane: string, count: number): Promise<void> => {
  await records.transaction(async (transaction) => {
    for (let index = 1; index <= count; index += 1) {
      const id = `${lane}-${String(index).padStart(4, '0')}`;
      // What the lanes look at; the brands and the body are no concern of theirs.
      const row = { id, instance: 'github', key: id, lane, polled: false, type: 'change', body: {}, receivedAt: '', state: 'received' };
      await transaction.insert('events', { ...row, outcome: null, runId: null } as unknown as EventRow);
    }
  });
};

/** Hangs until it is told to stop. */
const hang = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
  });

it('handles the events of a lane in the order in which they were accepted', async () => {
  const bench = createBench(async () => new Promise((resolve) => setImmediate(resolve)));
  await store(bench, 'web', 30);
  bench.lanes.wake('web');
  bench.lanes.wake('web');
  await bench.until(() => bench.handled.length === 30);
  expect(bench.handled).toEqual([...bench.handled].sort());
});

it('handles what comes while a lane is at work', async () => {
  const bench = createBench(async () => new Promise((resolve) => setImmediate(resolve)));
  await store(bench, 'web', 1);
  bench.lanes.wake('web');
  await bench.until(() => bench.handled.length === 1);
  await store(bench, 'web', 2);
  bench.lanes.wake('web');
  await bench.until(() => bench.handled.length === 2);
  await bench.lanes.settle();
});

it('keeps no lane waiting for as many others as hang', async () => {
  const bench = createBench(async ({ lane }, signal) => (lane.startsWith('stuck') ? hang(signal) : undefined));
  for (let index = 0; index < 20; index += 1) await store(bench, `stuck${index}`, 3);
  await store(bench, 'web', 5);
  await bench.lanes.sweep();
  await bench.until(() => bench.handled.length === 5);
  // Each hanging one holds a place for a second, four at a time, before the others go on.
  expect(bench.clock.time - Date.parse('2026-01-01T00:00:00.000Z')).toBeLessThanOrEqual(6_000);
  bench.stopping.abort();
  await bench.lanes.settle();
});

it('finds the events of every lane after a restart, however many one of them has', async () => {
  const bench = createBench(async ({ lane }, signal) => (lane === 'flood' ? hang(signal) : undefined));
  await store(bench, 'flood', 621);
  await store(bench, 'web', 1);
  await bench.lanes.sweep();
  await bench.until(() => bench.handled.includes('web-0001'));
  bench.stopping.abort();
  await bench.lanes.settle();
});

it('looks at every lane in turn, however many there are', async () => {
  const bench = createBench(async () => undefined);
  for (let index = 0; index < 1_200; index += 1) await store(bench, `app${String(index).padStart(4, '0')}`, 1);
  for (let sweeps = 0; sweeps < 3; sweeps += 1) await bench.lanes.sweep();
  await bench.until(() => bench.handled.length === 1_200);
});

it.each([1, 3, 4])('handles the others of a lane when %i of it never can be', async (count) => {
  const never = ['web-0002', 'web-0003', 'web-0004', 'web-0005'].slice(0, count);
  let tries = 0;
  const bench = createBench(async ({ id }) => {
    if (!never.includes(id)) return;
    if (id !== 'web-0002') throw new Error('it cannot be fetched');
    tries += 1;
    throw new Error('it cannot be fetched');
  });
  await store(bench, 'web', 6);
  bench.lanes.wake('web');
  await bench.until(() => bench.handled.length === 6 - count && tries >= 5);
  expect(bench.handled).toEqual(['web-0001', 'web-0003', 'web-0004', 'web-0005', 'web-0006'].filter((id) => !never.includes(id)));
  // It is tried again, and ever more rarely.
  const since = bench.clock.time;
  await bench.until(() => tries >= 12);
  expect(bench.clock.time - since).toBeGreaterThan(2 * 60_000);
});

it('goes through a lane whose repository does not answer a few events at a time', async () => {
  let tries = 0;
  let isAway = true;
  const bench = createBench(async () => {
    tries += 1;
    if (isAway) throw new Error('no answer');
  });
  await store(bench, 'web', 100);
  bench.lanes.wake('web');
  await bench.until(() => bench.clock.time > Date.parse('2026-01-01T00:02:00.000Z'));
  expect(tries).toBeLessThan(60);
  isAway = false;
  await bench.until(() => bench.handled.length === 100);
});

it('ends the look at an event that hangs, and tries it again', async () => {
  let tries = 0;
  const bench = createBench(async (_event, signal) => {
    tries += 1;
    if (tries === 1) await hang(signal);
  });
  await store(bench, 'web', 1);
  bench.lanes.wake('web');
  await bench.until(() => bench.handled.length === 1);
  expect(tries).toBe(2);
});
