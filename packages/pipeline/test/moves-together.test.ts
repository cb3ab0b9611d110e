import { expect, it } from 'vitest';
import type { Records, RecordsTransaction } from '../src/index.js';
import { policy, World } from './world/world.js';

interface Asked {
  readonly looks: number;
  readonly writes: number;
}

/** Counts, for each transaction, how often it looks at operations and writes a run's row. */
const watch = (records: Records): readonly Asked[] => {
  const all: Asked[] = [];
  const { transaction } = records;
  Object.assign(records, {
    transaction: ((work, options) =>
      transaction(async (inner) => {
        const asked = { looks: 0, writes: 0 };
        all.push(asked);
        const { list, update } = inner;
        const counted: Pick<RecordsTransaction, 'list' | 'update'> = {
          list: (table, query) => {
            if (table === 'operations') asked.looks += 1;
            return list.call(inner, table, query as never) as ReturnType<typeof list<typeof table>>; // as it was asked
          },
          update: (table, key, changes) => {
            if (table === 'runs') asked.writes += 1;
            return update.call(inner, table, key as never, changes as never); // as it was asked
          },
        };
        return work(Object.assign(inner, counted));
      }, options)) satisfies typeof transaction,
  });
  return all;
};

it('decides the moves that a run makes at once from one look, or two where a later stage looks at more, and writes its row once', async () => {
  const world = new World({ rings: [policy('canary'), { ...policy('production'), promotion: 'automatic' }] });
  const asked = watch(world.records);
  await world.push();
  await world.settle();
  const run = await world.run(1);
  expect(run).toMatchObject({ outcome: 'succeeded' });
  const deciding = asked.filter(({ looks }) => looks > 0);
  expect(Math.max(...deciding.map(({ looks }) => looks))).toBe(2);
  expect(Math.max(...deciding.map(({ writes }) => writes))).toBe(1);
  expect(deciding.filter(({ writes }) => writes === 1)).toHaveLength(6);
});
