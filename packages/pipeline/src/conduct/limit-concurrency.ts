/** Lets at most so many pieces of work run at once; the others wait, and go in the order in which they came. */
export const limitConcurrency = (atOnce: number): (<T>(work: () => Promise<T>) => Promise<T>) => {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running < atOnce) running += 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      // Whoever goes next takes over the place of whoever leaves.
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
};
