import { expect, it } from 'vitest';
import { limitConcurrency } from '../src/conduct/limit-concurrency.js';

const createGate = () => {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open: () => open(), passed };
};

it('runs at most so many at once, and the waiting in the order in which they came', async () => {
  const limit = limitConcurrency(2);
  const gates = Array.from({ length: 5 }, createGate);
  const begun: number[] = [];
  const done = gates.map((gate, index) =>
    limit(async () => {
      begun.push(index);
      await gate.passed;
    }),
  );
  expect(begun).toEqual([0, 1]);
  gates[1]?.open();
  await done[1];
  await Promise.resolve();
  expect(begun).toEqual([0, 1, 2]);
  for (const gate of gates) gate.open();
  await Promise.all(done);
  expect(begun).toEqual([0, 1, 2, 3, 4]);
});

it('gives the place of work that failed to the next one', async () => {
  const limit = limitConcurrency(1);
  const failed = limit(() => Promise.reject(new Error('broken')));
  const next = limit(async () => 'done');
  await expect(failed).rejects.toThrow('broken');
  expect(await next).toBe('done');
});
