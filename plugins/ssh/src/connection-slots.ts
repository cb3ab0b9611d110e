/** Gives back a slot; repeating it is harmless. */
export type Release = () => void;

/** A number of slots that calls wait for in turn. */
export interface ConnectionSlots {
  /** @throws the signal's reason when it is aborted before there was a slot */
  acquire(signal: AbortSignal): Promise<Release>;
}

/** Limits how much is open at once. A call that is aborted while it waits takes no slot. */
export const createConnectionSlots = (count: number): ConnectionSlots => {
  let free = count;
  const waiting: (() => void)[] = [];
  const releaseOnce = (): Release => {
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    };
  };
  return {
    acquire: (signal) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted();
        if (free > 0) {
          free -= 1;
          resolve(releaseOnce());
          return;
        }
        const onAbort = (): void => {
          waiting.splice(waiting.indexOf(take), 1);
          reject(signal.reason);
        };
        const take = (): void => {
          signal.removeEventListener('abort', onAbort);
          resolve(releaseOnce());
        };
        signal.addEventListener('abort', onAbort, { once: true });
        waiting.push(take);
      }),
  };
};
