import type { Json } from '@pipit/core';
import { type Engine, type EngineState, type OperationCode, OperationInterrupted } from '../ports/engine.js';

interface Execution {
  readonly operation: Parameters<Engine['submit']>[0];
  readonly journal: { readonly name: string; readonly value: Json }[];
  state: EngineState;
  running: Promise<void> | undefined;
}

/** What outlives an engine in memory: hand one to a second engine to act out a restart. */
export type MemoryJournal = Map<string, Execution>;

export const createMemoryJournal = (): MemoryJournal => new Map();

/** The engine in memory, with the same promises as the durable one within one process: steps recorded by order, replayed after a restart. */
export const createMemoryEngine = (journal: MemoryJournal = createMemoryJournal()): Engine => {
  let codes: readonly OperationCode[] = [];
  let stopping = false;

  const run = async (execution: Execution): Promise<void> => {
    const { operation } = execution;
    const code = codes.find((each) => each.type === operation.type && each.version === operation.version);
    if (code === undefined) {
      execution.state = { state: 'broken', reason: `no code for ${operation.type} version ${operation.version}` };
      return;
    }
    let position = 0;
    try {
      await code.run(operation.id, operation.input, {
        step: async (name, work) => {
          const recorded = execution.journal[position];
          position += 1;
          if (recorded !== undefined) {
            if (recorded.name !== name) throw new Error(`step ${position} was ${recorded.name} and is now ${name}`);
            return recorded.value as Awaited<ReturnType<typeof work>>; // recorded by the same step
          }
          if (stopping) throw new OperationInterrupted();
          const value = await work();
          execution.journal.push({ name, value });
          return value;
        },
      });
      execution.state = { state: 'finished' };
    } catch (error) {
      if (!(error instanceof OperationInterrupted)) execution.state = { state: 'broken', reason: String(error) };
    }
  };

  const dispatch = (execution: Execution): void => {
    if (execution.state.state !== 'unfinished' || execution.running !== undefined) return;
    execution.running = run(execution).finally(() => {
      execution.running = undefined;
    });
  };

  return {
    start: async (given) => {
      codes = given;
      for (const execution of journal.values()) {
        execution.running = undefined;
        dispatch(execution);
      }
    },
    submit: async (operation) => {
      const known = journal.get(operation.id);
      const execution: Execution = known ?? { operation, journal: [], state: { state: 'unfinished' }, running: undefined };
      journal.set(operation.id, execution);
      if (!stopping) dispatch(execution);
    },
    inspect: async (id) => journal.get(id)?.state ?? { state: 'unknown' },
    sweep: async () => {
      for (const execution of journal.values()) dispatch(execution);
    },
    stop: async () => {
      stopping = true;
      await Promise.all([...journal.values()].map((execution) => execution.running ?? Promise.resolve()));
    },
  };
};
