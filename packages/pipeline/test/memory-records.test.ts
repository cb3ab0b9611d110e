import { expect, it } from 'vitest';
import { createMemoryRecords } from '../src/index.js';
import { describeRecords } from './records-conformance.js';

describeRecords('in memory', async () => ({ records: createMemoryRecords() }));

it('lose with the power what was stored soon, and nothing that a durable commit followed', async () => {
  const records = createMemoryRecords();
  const store = (name: string, durable: 'at once' | 'soon') =>
    records.transaction((transaction) => transaction.put('settings', { name, value: name }), { durable });
  await store('before', 'soon');
  await store('durable', 'at once');
  await store('after', 'soon');
  await records.transaction((transaction) => transaction.get('settings', { name: 'after' }));
  records.cutPower();
  expect((await records.list('settings')).map(({ name }) => name)).toEqual(['before', 'durable']);
});
