import { passMicrotasks } from '../pass-microtasks.js';
import type { ErrorRecord, StepRow } from '../records/rows.js';
import type { OperationPorts } from './operation-ports.js';

/**
 * Rows of steps show where an operation is; what it goes on from is the engine's own record, which is durable at once and stored after them.
 * An effect with a folder stores that durably before it begins, and with it the attempt.
 */
const SHOWN = { durable: 'soon', oneWrite: true } as const;

/** Microtasks between what a step tells last and its end, and a few more. */
const TURNS = 8;

/** What one step tells while it works. */
export interface StepNotes {
  log(text: string): void;
  /** Shows how far the step is, and logs it. */
  report(message: string): void;
  /** Stores how the step ended, with what is still to be noted. */
  end(state: 'succeeded' | 'failed', error: ErrorRecord | null): Promise<void>;
}

/** Stores what a step tells: in order, and together what is told while something is being stored. What cannot be stored is lost, and logged. */
export const createStepNotes = (
  { records, logs, clock, logger }: Pick<OperationPorts, 'records' | 'logs' | 'clock' | 'logger'>,
  key: Pick<StepRow, 'operationId' | 'name'>,
): StepNotes => {
  const now = (): string => clock.now().toISOString();
  const step = { operationId: key.operationId, step: key.name };
  let progress: string | undefined;
  let text = '';
  let textAt = '';
  let writing: Promise<void> | undefined;
  let isEnding = false;

  const guarded = (write: Promise<unknown>): Promise<unknown> =>
    write.catch((error: unknown) => logger.warn({ ...step, error: String(error) }, 'Step note lost'));

  /** Takes what is to be noted, and stores it. */
  const appendLog = (): Promise<unknown> => {
    const piece = text;
    text = '';
    return piece === '' ? Promise.resolve() : guarded(logs.append(step, piece, textAt));
  };
  const takeProgress = (): { readonly progress?: string } => {
    const taken = progress === undefined ? {} : { progress };
    progress = undefined;
    return taken;
  };

  const write = async (): Promise<void> => {
    // What is told in the same breath, the step's end among it, is stored together.
    await passMicrotasks(TURNS);
    while (!isEnding && (text !== '' || progress !== undefined)) {
      const changes = takeProgress();
      const update =
        changes.progress === undefined
          ? Promise.resolve()
          : guarded(records.transaction((transaction) => transaction.update('steps', key, changes), SHOWN));
      await Promise.all([appendLog(), update]);
    }
    writing = undefined;
  };
  const noted = (): void => {
    writing ??= write();
  };

  const log = (more: string): void => {
    if (text === '') textAt = now();
    text += more;
    noted();
  };
  return {
    log,
    report: (message) => {
      progress = message;
      log(`${message}\n`);
    },
    end: async (state, error) => {
      isEnding = true;
      await writing;
      // What waited for its turn goes with the row's end.
      const ending = { ...takeProgress(), state, error, endedAt: now() };
      await Promise.all([appendLog(), records.transaction((transaction) => transaction.update('steps', key, ending), SHOWN)]);
      isEnding = false;
      if (text !== '' || progress !== undefined) noted();
    },
  };
};
