/** Maps with at most `limit` at a time, and keeps the order. The first failure ends it once those under way have ended. */
export const mapConcurrently = async <T, R>(values: readonly T[], limit: number, map: (value: T) => Promise<R>): Promise<readonly R[]> => {
  const results: R[] = [];
  const queue = [...values.entries()].reverse();
  const work = async (): Promise<void> => {
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      const [index, value] = next;
      results[index] = await map(value);
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: Math.min(limit, values.length) }, work));
  for (const each of ended) if (each.status === 'rejected') throw each.reason;
  return results;
};
