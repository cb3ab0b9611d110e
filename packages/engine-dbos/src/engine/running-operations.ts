import { type EngineContext, OperationInterrupted } from '@pipit/pipeline';

/** Never settles: what waits for it is left as it stands, unrecorded, and goes on after the next start. */
const parked = <T>(): Promise<T> => new Promise<T>(() => undefined);

/** After its code returned, an operation's end is written; for so long it still counts as executed here. */
const RECORDING_MS = 5_000;

/** The operations whose code runs in this process, and how they are brought to a halt. */
export interface RunningOperations {
  /** Runs an operation's code. Settles never when it was interrupted: its execution then goes on after the next start. */
  run(id: string, code: (context: EngineContext) => Promise<void>): Promise<void>;
  /** What is executed or being recorded here. */
  ids(): readonly string[];
  /** No further step begins. Settles when no step is under way, or at the deadline; steps that end later are not recorded. */
  stop(deadlineMs: number): Promise<void>;
}

export interface Recorder {
  /** The engine's: runs the work, or gives what is recorded of it. */
  record<T>(name: string, work: () => Promise<T>): Promise<T>;
  /**
   * What an error of `record` means. `misfit`: the code no longer fits what is recorded. `lost`: the engine could not record, or another replica
   * owns the operation now. `own`: it is the work's.
   */
  judge(error: unknown): 'misfit' | 'lost' | 'own';
}

export const createRunningOperations = ({ record, judge }: Recorder): RunningOperations => {
  const running = new Set<string>();
  const ending = new Set<string>();
  let stopping = false;
  let abandoned = false;
  let onIdle: (() => void) | undefined;

  const leave = (id: string): void => {
    running.delete(id);
    if (running.size === 0) onIdle?.();
  };

  /** Leaves the operation where it is: its code waits for ever, and is forgotten with the process. */
  const park = <T>(id: string): Promise<T> => {
    leave(id);
    return parked<T>();
  };

  const contextOf = (id: string): EngineContext & { requireSound(): void } => {
    let underWay: string | undefined;
    let fault: Error | undefined;
    return {
      step: async (name, work) => {
        // DBOS numbers steps by the order of calls: two at once would swap their values at a replay, silently.
        if (underWay !== undefined) fault = new Error(`step ${name} was begun while ${underWay} was under way: steps never run at once`);
        if (fault !== undefined) throw fault;
        if (stopping) return park(id);
        underWay = name;
        try {
          const value = await record(name, () => perform(id, work));
          // Others began meanwhile and caught what they were told: the order can no longer be trusted.
          if (fault !== undefined) throw fault;
          return value;
        } catch (error) {
          // Code that catches errors must neither take the engine's for its own, nor go on with effects in an operation that is not its any more.
          const meaning = judge(error);
          if (meaning === 'lost') return park(id);
          if (meaning === 'misfit') fault = error instanceof Error ? error : new Error(String(error));
          throw error;
        } finally {
          underWay = undefined;
        }
      },
      requireSound: () => {
        if (fault !== undefined) throw fault;
      },
    };
  };

  const perform = async <T>(id: string, work: () => Promise<T>): Promise<T> => {
    try {
      const value = await work();
      return abandoned ? await park(id) : value;
    } catch (error) {
      // Anything thrown here would be recorded for good; an interruption must not be.
      if (error instanceof OperationInterrupted || stopping) return park(id);
      throw error;
    }
  };

  return {
    run: async (id, code) => {
      if (stopping) return park(id);
      running.add(id);
      try {
        const context = contextOf(id);
        await code(context);
        // Code may have caught the fault; its end would be taken for a good one.
        context.requireSound();
      } catch (error) {
        if (error instanceof OperationInterrupted || stopping) return park(id);
        throw error;
      } finally {
        ending.add(id);
        setTimeout(() => ending.delete(id), RECORDING_MS).unref();
        leave(id);
      }
    },
    ids: () => [...running, ...ending],
    stop: async (deadlineMs) => {
      stopping = true;
      const idle = new Promise<void>((resolve) => {
        onIdle = resolve;
        if (running.size === 0) resolve();
      });
      let timer: NodeJS.Timeout | undefined;
      const deadline = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, deadlineMs);
      });
      await Promise.race([idle, deadline]);
      clearTimeout(timer);
      abandoned = true;
    },
  };
};
