import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@pipit/core';

/** More than the slowest part takes when all is well: PostgreSQL's shutdown, which is forced after 20 s. */
const DISPOSE_WITHIN_MS = 35_000;

export interface DisposalStack {
  /** Runs last what is pushed first. Default deadline: 35 s. */
  push(name: string, dispose: () => Promise<unknown>, withinMs?: number): void;
  dispose(): Promise<void>;
}

/** What was made is taken down in reverse order; one that fails stops no other. */
export const createDisposalStack = (logger: Logger): DisposalStack => {
  const stack: { readonly name: string; readonly dispose: () => Promise<unknown>; readonly withinMs: number }[] = [];
  return {
    push: (name, dispose, withinMs = DISPOSE_WITHIN_MS) => stack.push({ name, dispose, withinMs }),
    dispose: async () => {
      for (let last = stack.pop(); last !== undefined; last = stack.pop()) {
        const { name, withinMs } = last;
        const timer = new AbortController();
        const deadline = sleep(withinMs, undefined, { signal: timer.signal }).then(
          () => logger.warn({ part: name, withinMs }, 'Not stopped in time; left as it is'),
          () => undefined, // it was in time
        );
        const disposed = last.dispose().catch((error: unknown) => logger.warn({ part: name, error }, 'Not stopped cleanly'));
        await Promise.race([disposed, deadline]);
        timer.abort();
      }
    },
  };
};
