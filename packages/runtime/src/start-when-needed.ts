import type { Engine, OperationCode } from '@pipit/pipeline';

/**
 * An engine that starts when it is first used. Starting recovers what was under way, which has effects: in quarantine nothing uses the engine, so nothing
 * happens, and whoever lifts the quarantine needs to tell nobody.
 */
export const startWhenNeeded = (engine: Engine, codes: () => readonly OperationCode[]): Engine => {
  let started: Promise<void> | undefined;
  const start = (): Promise<void> => {
    started ??= engine.start(codes()).catch((error: unknown) => {
      started = undefined;
      throw error;
    });
    return started;
  };
  return {
    start,
    submit: async (operation) => {
      await start();
      return engine.submit(operation);
    },
    inspect: async (id) => {
      await start();
      return engine.inspect(id);
    },
    sweep: async () => {
      await start();
      return engine.sweep();
    },
    stop: async (deadlineMs) => {
      if (started === undefined) return;
      await started.catch(() => undefined);
      await engine.stop(deadlineMs);
    },
  };
};
