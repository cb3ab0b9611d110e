import type { Json } from '@pipit/core';
import type { EngineContext, OperationCode } from '../ports/engine.js';
import { OperationInterrupted } from '../ports/engine.js';
import { type OperationId, operationIdOfExecution } from '../records/ids.js';
import type { ErrorRecord, OperationRow, OperationType, RunRow } from '../records/rows.js';
import { runBuild } from './build.js';
import type { OperationPorts } from './operation-ports.js';
import { type PackageInput, runPackage } from './package.js';
import { createPatientRecords } from './patient-records.js';
import type { RolloutInput } from './plan-rollout.js';
import { runPublish } from './publish.js';
import { WRITTEN_ONCE } from './recorded-next.js';
import { runRollout } from './rollout.js';
import { createScope, type OperationScope } from './run-step.js';
import { errorRecordOf, StepFailed } from './step-failed.js';
import { abandonRollout } from './verify-rollout.js';
import { runWatch } from './watch.js';

/** The version that new operations of each type get. Raise it with any change to an operation's steps, and keep the former code beside it. */
export const OPERATION_VERSIONS = { build: 1, package: 1, publish: 1, rollout: 1, watch: 1 } as const satisfies Record<
  OperationType,
  number
>;

type Body = (ports: OperationPorts, scope: OperationScope, input: Json) => Promise<unknown>;

// Inputs were stored by the conductor from these very types.
const bodies: Record<OperationType, Record<number, Body>> = {
  build: { 1: (ports, scope) => runBuild(ports, scope) },
  package: { 1: (ports, scope, input) => runPackage(ports, scope, input as unknown as PackageInput) },
  publish: { 1: (ports, scope) => runPublish(ports, scope) },
  rollout: { 1: (ports, scope, input) => runRollout(ports, scope, input as unknown as RolloutInput) },
  watch: { 1: (ports, scope, input) => runWatch(ports, scope, input as unknown as { ring: RolloutInput['ring'] }) },
};

type Ending =
  | { readonly state: 'succeeded'; readonly result: Json }
  | { readonly state: 'failed' | 'cancelled' | 'waiting'; readonly error: ErrorRecord };

interface Loaded {
  readonly operation: OperationRow;
  readonly run: RunRow;
}

/** Marks the operation as running and reads what it is about. Recorded, so that the code sees the same after a restart. */
const begin = async (ports: OperationPorts, id: OperationId, context: EngineContext): Promise<Loaded> => {
  const loaded = await context.step('begin', async (): Promise<Json> => {
    const startedAt = ports.clock.now().toISOString();
    const operation = await ports.records.get('operations', { id });
    if (operation === undefined) throw new Error(`operation ${id} is not recorded`);
    const { state } = operation;
    const [run] = await Promise.all([
      ports.records.get('runs', { id: operation.runId }),
      state === 'pending' &&
        ports.records.transaction((transaction) => transaction.update('operations', { id }, { state: 'running', startedAt }), WRITTEN_ONCE),
    ]);
    if (run === undefined) throw new Error(`operation ${id} is not recorded`);
    return { operation, run } as unknown as Json; // rows are plain JSON
  });
  return loaded as unknown as Loaded; // made just above, maybe before a restart
};

const isOpen = ({ state }: OperationRow): boolean => state === 'pending' || state === 'running';

const finish = (ports: OperationPorts, loaded: Loaded, context: EngineContext, ending: Ending): Promise<Json> =>
  context.step('finish', async () => {
    const endedAt = ports.clock.now().toISOString();
    const { id } = loaded.operation;
    if (ending.state === 'succeeded') {
      const changes = { state: ending.state, result: ending.result, endedAt };
      await ports.records.transaction((transaction) => transaction.update('operations', { id }, changes), WRITTEN_ONCE);
      return null;
    }
    const { state, error } = ending;
    await ports.records.transaction(async (transaction) => {
      await transaction.lock(`app:${loaded.run.app}`);
      const current = await transaction.get('operations', { id });
      // A server that was frozen here finds the next round, or the next try, under way, and leaves it alone.
      if (current?.round !== loaded.operation.round || !isOpen(current)) return;
      await transaction.update('operations', { id }, state === 'waiting' ? { state, error } : { state, error, endedAt });
      // What waits stays as it is: the next round goes on with it.
      if (state !== 'waiting') await abandonRollout(transaction, loaded.operation, error.message, endedAt);
    });
    return null;
  });

/** Only what a step failed by may pass: anything else that is thrown is a fault of the code. */
const stateAfter = (thrown: unknown): 'failed' | 'cancelled' | 'waiting' => {
  if (!(thrown instanceof StepFailed)) return 'failed';
  if (thrown.cancelled) return 'cancelled';
  return thrown.mayPass ? 'waiting' : 'failed';
};

/** Every operation as the engine runs it: begin, its own steps, finish. */
export const createOperationCodes = (given: OperationPorts): readonly OperationCode[] => {
  const ports = { ...given, records: createPatientRecords(given) };
  return Object.entries(bodies).flatMap(([type, versions]) =>
    Object.entries(versions).map(
      ([version, body]): OperationCode => ({
        type,
        version: Number(version),
        run: async (id, input, context) => {
          const loaded = await begin(ports, operationIdOfExecution(id), context);
          const scope = createScope(ports, loaded.operation, loaded.run, context);
          let ending: Ending;
          try {
            const result = await body(ports, scope, input);
            ending = { state: 'succeeded', result: result as Json }; // the bodies return plain JSON
          } catch (thrown) {
            if (thrown instanceof OperationInterrupted) throw thrown;
            if (!(thrown instanceof StepFailed)) ports.logger.error({ operationId: id, error: thrown }, 'Operation threw');
            ending = { state: stateAfter(thrown), error: errorRecordOf(thrown) };
          }
          ports.observer.onStep?.({ operationId: id, step: 'finish', phase: 'before' });
          await finish(ports, loaded, context, ending);
          ports.observer.onStep?.({ operationId: id, step: 'finish', phase: 'after' });
          ports.onOperationEnded(loaded.run.id);
        },
      }),
    ),
  );
};
