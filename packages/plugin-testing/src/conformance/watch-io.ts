import { AsyncLocalStorage, createHook } from 'node:async_hooks';

/** Kinds of handles and requests that reach outside the process; Node names them in async_hooks. */
const OUTSIDE = /^(?:FS|TCP|TLS|UDP|PIPE|PROCESS|GETADDRINFO|GETNAMEINFO|QUERY|HTTP|STATWATCHER|TTY)/;

/**
 * Runs a function and names what it did outside of the process: files, connections, processes, look-ups. Synchronous reads of files
 * are not seen.
 */
export const watchIo = async <T>(run: () => Promise<T>): Promise<{ readonly value: T; readonly io: readonly string[] }> => {
  const inside = new AsyncLocalStorage<true>();
  const io: string[] = [];
  const hook = createHook({
    init: (_id, type) => {
      if (inside.getStore() === true && OUTSIDE.test(type)) io.push(type);
    },
  }).enable();
  try {
    const value = await inside.run(true, run);
    return { value, io };
  } finally {
    hook.disable();
  }
};
