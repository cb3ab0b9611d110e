interface Call<In, Out> {
  readonly item: In;
  readonly resolve: (value: Out) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Makes one call of many: those that come while one is under way share the next one, so that the slower the database is, the more each question
 * is about. One answer an item, in their order; a throw is everybody's of that batch.
 *
 * @param max items that one call is about at most
 */
export const batchCalls = <In, Out>(max: number, work: (items: readonly In[]) => Promise<readonly Out[]>): ((item: In) => Promise<Out>) => {
  let queue: Call<In, Out>[] = [];
  let busy = false;

  const drain = async (): Promise<void> => {
    if (busy) return;
    busy = true;
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
    }
    busy = false;
  };

  return (item) =>
    new Promise((resolve, reject) => {
      queue.push({ item, resolve, reject });
      void drain();
    });
};
