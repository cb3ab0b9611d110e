import type { Call } from '@pipit/core';

export interface MapLimits {
  readonly call: Pick<Call, 'clock' | 'random'>;
  /** How many are worked on at once. */
  readonly atOnce: number;
  /** Milliseconds after which no further one is started. */
  readonly startWithinMs: number;
}

/**
 * Maps values whose work may hang, such as looks at many repositories: the order in which they are started is drawn by lot each time, so that
 * those that hang keep no other from its turn for ever. Give the work of each a time limit of its own.
 *
 * @returns in the values' order; undefined for those that were not started in time. The first failure is thrown once what was started has ended
 */
export const mapInTime = async <T, R>(
  values: readonly T[],
  { call, atOnce, startWithinMs }: MapLimits,
  map: (value: T) => Promise<R>,
): Promise<readonly (R | undefined)[]> => {
  const results: (R | undefined)[] = values.map(() => undefined);
  const queue = [...values.entries()].map((entry) => ({ entry, lot: call.random() })).sort((one, other) => one.lot - other.lot);
  const end = call.clock.now().getTime() + startWithinMs;
  const work = async (): Promise<void> => {
    for (let next = queue.pop(); next !== undefined && call.clock.now().getTime() < end; next = queue.pop()) {
      const [index, value] = next.entry;
      results[index] = await map(value);
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: Math.min(atOnce, values.length) }, work));
  for (const each of ended) if (each.status === 'rejected') throw each.reason;
  return results;
};
