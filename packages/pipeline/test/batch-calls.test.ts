import { describe, expect, it, vi } from 'vitest';
import { batchCalls } from '../src/batch-calls.js';

const openGate = () => {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
};

describe('calls that are made together', () => {
  it('are about all that came while one was under way, each with its own answer', async () => {
    const gate = openGate();
    const work = vi.fn(async (items: readonly number[]) => {
      await gate.opened;
      return items.map((item) => item * 2);
    });
    const ask = batchCalls(2, work);
    const first = ask(1);
    await vi.waitUntil(() => work.mock.calls.length === 1);
    const others = [ask(2), ask(3), ask(4)];
    gate.open();
    expect(await Promise.all([first, ...others])).toEqual([2, 4, 6, 8]);
    expect(work.mock.calls.map(([items]) => items)).toEqual([[1], [2, 3], [4]]);
  });

  it('fail together, and not those of the next one', async () => {
    const ask = batchCalls(1, async ([item]: readonly number[]) => {
      if (item === 1) throw new Error('no');
      return [item];
    });
    const [one, two] = await Promise.allSettled([ask(1), ask(2)]);
    expect([one?.status, two?.status]).toEqual(['rejected', 'fulfilled']);
  });

  it('pause in a flood and gather what comes meanwhile, but never keep one waiting that comes alone', async () => {
    const gate = openGate();
    const pause = vi.fn(() => gate.opened);
    const work = vi.fn(async (items: readonly number[]) => items);
    const ask = batchCalls(10, work, pause);
    expect(await ask(1)).toBe(1);
    expect(pause).not.toHaveBeenCalled();
    // While the second is under way the third comes: that is a flood.
    work.mockImplementationOnce(async (items) => {
      third = ask(3);
      return items;
    });
    let third: Promise<number> | undefined;
    await ask(2);
    await vi.waitUntil(() => pause.mock.calls.length === 1);
    const fourth = ask(4);
    gate.open();
    expect(await Promise.all([third, fourth])).toEqual([3, 4]);
    expect(work.mock.calls.map(([items]) => items)).toEqual([[1], [2], [3, 4]]);
  });
});
