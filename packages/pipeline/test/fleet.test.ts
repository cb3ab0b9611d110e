import { expect, it } from 'vitest';
import type { Records } from '../src/index.js';
import { policy, World } from './world/world.js';

interface Cost {
  transactions: number;
  hostUpdates: number;
  reads: number;
}

/** Counts what a rollout asks of the database. */
const count = (records: Records): Cost => {
  const cost = { transactions: 0, hostUpdates: 0, reads: 0 };
  const { transaction, list, get } = records;
  Object.assign(records, {
    list: (...query: Parameters<typeof list>) => {
      cost.reads += 1;
      return list(...query);
    },
    get: (...query: Parameters<typeof get>) => {
      cost.reads += 1;
      return get(...query);
    },
    transaction: ((work) => {
      cost.transactions += 1;
      return transaction((inner) => {
        const { update } = inner;
        const counted: typeof update = (table, key, changes) => {
          if (table === 'rolloutHosts') cost.hostUpdates += 1;
          return update.call(inner, table, key, changes) as ReturnType<typeof update>; // generic over the table, as update itself
        };
        return work(Object.assign(inner, { update: counted }));
      });
    }) satisfies typeof transaction,
  });
  return cost;
};

const deliverTo = async (hosts: number, hostsAnInspect: number) => {
  const production = Array.from({ length: hosts }, (_none, index) => `web${String(index).padStart(5, '0')}`);
  const world = new World({ rings: [policy('canary'), policy('production')], hosts: { canary: ['canary1'], production } });
  world.outside.hostsAnInspect = hostsAnInspect;
  await world.push();
  await world.settle();
  const cost = count(world.records);
  const before = new Map(world.outside.calls);
  await world.promote();
  await world.settle();
  const run = await world.run(1);
  const calls = [...world.outside.calls].reduce((sum, [name, times]) => sum + times - (before.get(name) ?? 0), 0);
  const inspections = world.calls('deployer.inspect') - (before.get('deployer.inspect') ?? 0);
  const steps = (await world.records.list('steps')).length;
  return { run, cost: { ...cost }, calls, inspections, steps };
};

it('a rollout to 1,000 hosts asks no more of anybody than one to 10, when the deployer answers for all at once', async () => {
  const small = await deliverTo(10, 1_000_000);
  const large = await deliverTo(1_000, 1_000_000);
  expect(large.run).toMatchObject({ outcome: 'succeeded' });
  expect(large.calls).toBe(small.calls);
  expect(large.steps).toBe(small.steps);
  expect(large.cost.transactions).toBe(small.cost.transactions);
  expect(large.cost.reads).toBe(small.cost.reads);
  expect(large.cost.hostUpdates).toBe(2_000);
});

it('a rollout to 1,000 hosts is linear in the pieces in which the deployer answers, and writes each host twice', async () => {
  const few = await deliverTo(1_000, 100);
  const many = await deliverTo(1_000, 20);
  expect([few.inspections, many.inspections]).toEqual([10, 50]);
  expect(many.cost.hostUpdates).toBe(2_000);
  expect(few.cost.hostUpdates).toBe(2_000);
  expect(many.steps).toBe(few.steps);
  const perPiece = (many.cost.transactions - few.cost.transactions) / 40;
  expect(perPiece).toBeLessThan(6);
});
