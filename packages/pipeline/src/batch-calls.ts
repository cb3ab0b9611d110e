import { passMicrotasks } from './pass-microtasks.js';

interface Call<In, Out> {
  readonly item: In;
  readonly resolve: (value: Out) => void;
  readonly reject: (error: unknown) => void;
}

/** Microtasks in which calls are gathered before the first of them is made. */
const GATHER_TURNS = 32;

/**
 * Makes one call of many: those that come while one is under way share the next one, so that the slower the database is, the more each question
 * is about. One answer an item, in their order; a throw is everybody's of that batch.
 *
 * @param max items that one call is about at most
 * @param pause waited for before a call that follows another at once, so that in a flood fewer calls are about more; an item that comes alone is never kept waiting
 */
export const batchCalls = <In, Out>(
  max: number,
  work: (items: readonly In[]) => Promise<readonly Out[]>,
  pause?: () => Promise<void>,
): ((item: In) => Promise<Out>) => {
  let queue: Call<In, Out>[] = [];
  let busy = false;

  const drain = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    // What is asked in one breath, such as about all that one answer brought, is asked together.
    await passMicrotasks(GATHER_TURNS);
    while (queue.length > 0) {
      const batch = queue.slice(0, max);
      queue = queue.slice(max);
      try {
        const answers = await work(batch.map(({ item }) => item));
        // One answer an item: the index is within both.
        for (const [index, call] of batch.entries()) call.resolve(answers[index] as Out);
      } catch (error) {
        for (const call of batch) call.reject(error);
      }
      if (queue.length > 0) await pause?.();
    }
    busy = false;
  };

  return (item) =>
    new Promise((resolve, reject) => {
      queue.push({ item, resolve, reject });
      void drain();
    });
};
