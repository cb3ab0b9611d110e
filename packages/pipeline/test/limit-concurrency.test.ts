import { expect, it } from 'vitest';
import { limitQuickWork } from '../src/conduct/limit-concurrency.js';
import { createWorldClock } from './world/world-clock.js';

const createGate = () => {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open: () => open(), passed };
};

const limitWith = (atOnce: number, slowAtOnce = 2) => {
  const clock = createWorldClock();
  return { clock, limit: limitQuickWork({ clock, atOnce, quickMs: 1_000, slowAtOnce }) };
};

it('runs at most so many at once, and the waiting in the order in which they came', async () => {
  const { limit } = limitWith(2);
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
  const { limit } = limitWith(1);
  const failed = limit(() => Promise.reject(new Error('broken')));
  const next = limit(async () => 'done');
  await expect(failed).rejects.toThrow('broken');
  expect(await next).toBe('done');
});

it('gives the place of work that hangs to the next one, as long as few hang', async () => {
  const { clock, limit } = limitWith(1, 2);
  const gates = Array.from({ length: 4 }, createGate);
  const hanging = gates.map((gate) => limit(() => gate.passed));
  const last = limit(async () => 'done');
  let isDone = false;
  void last.then(() => {
    isDone = true;
  });
  for (let turn = 0; turn < 5; turn += 1) {
    clock.advanceToNext();
    await new Promise((resolve) => setImmediate(resolve));
  }
  // Two are slow, the third has the only place.
  expect(isDone).toBe(false);
  for (const gate of gates) gate.open();
  await Promise.all(hanging);
  expect(await last).toBe('done');
});

it('lets work go on beside one that hangs', async () => {
  const { clock, limit } = limitWith(1);
  const gate = createGate();
  const hanging = limit(() => gate.passed);
  const next = limit(async () => 'done');
  clock.advanceToNext();
  expect(await next).toBe('done');
  gate.open();
  await hanging;
});
