/** Changes as they come, put together: many at once are one reason to look. */
export interface Pulse {
  /** True as soon as something changed since the last wait; false after `ms` milliseconds or when the signal is aborted. */
  wait(ms: number, signal: AbortSignal): Promise<boolean>;
  /** Resolves when the source has ended; abort its signal first. */
  end(): Promise<void>;
}

/** A source that breaks (a server that restarts) is no error: whoever waits also looks from time to time. */
export const createPulse = (changes: AsyncIterable<unknown>): Pulse => {
  let isPending = false;
  let wake: (() => void) | undefined;
  const reading = (async () => {
    try {
      for await (const _change of changes) {
        isPending = true;
        wake?.();
      }
    } catch {
      // What is wrong with the server shows at the next look.
    }
  })();
  return {
    wait: (ms, signal) =>
      new Promise((resolve) => {
        const settle = (): void => {
          clearTimeout(timer);
          signal.removeEventListener('abort', settle);
          wake = undefined;
          resolve(isPending);
          isPending = false;
        };
        const timer = setTimeout(settle, ms);
        signal.addEventListener('abort', settle, { once: true });
        wake = settle;
        if (isPending || signal.aborted) settle();
      }),
    end: () => reading,
  };
};
