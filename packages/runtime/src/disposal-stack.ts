import type { Logger } from '@pipit/core';

export interface DisposalStack {
  /** Runs last what is pushed first. */
  push(name: string, dispose: () => Promise<unknown>): void;
  dispose(): Promise<void>;
}

/** What was made is taken down in reverse order; one that fails stops no other. */
export const createDisposalStack = (logger: Logger): DisposalStack => {
  const stack: { readonly name: string; readonly dispose: () => Promise<unknown> }[] = [];
  return {
    push: (name, dispose) => stack.push({ name, dispose }),
    dispose: async () => {
      for (let last = stack.pop(); last !== undefined; last = stack.pop()) {
        const { name } = last;
        await last.dispose().catch((error: unknown) => logger.warn({ part: name, error }, 'Not stopped cleanly'));
      }
    },
  };
};
