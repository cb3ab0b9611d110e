import { planStages, type RunId, type RunRow } from '@pipit/pipeline';
import type { LogQuery, LogView, OperationView, RunDetail, StageView } from '../api.js';
import { unknown } from './unknown.js';
import type { ViewPorts } from './view-ports.js';

type Ports = Pick<ViewPorts, 'records' | 'logs'>;

const readRun = async ({ records }: Ports, runId: string): Promise<RunRow> => {
  const run = await records.get('runs', { id: runId as RunId }); // an id that nobody made finds nothing
  if (run === undefined) throw unknown({ code: 'RUN_UNKNOWN', message: `There is no run ${runId}`, hint: 'See `pipit runs`.' });
  return run;
};

const stageState = (run: RunRow, stage: string, operations: readonly OperationView[]): StageView['state'] => {
  if (run.completedStages.includes(stage)) return 'done';
  const operation = operations.filter((each) => each.stage === stage).at(-1);
  if (operation?.state === 'failed' || operation?.state === 'cancelled') return 'failed';
  if (operation?.state === 'succeeded') return 'done';
  if (run.state === 'ended') return 'skipped';
  if (operation !== undefined) return 'running';
  return run.stage === stage && run.state === 'waiting' ? 'waiting' : 'pending';
};

/** Operations in the order in which they began. */
const readOperations = async ({ records }: Ports, run: RunRow): Promise<readonly OperationView[]> => {
  const operations = await records.list('operations', { where: { runId: run.id }, orderBy: ['createdAt', 'ascending'] });
  return Promise.all(
    operations.map(async (operation) => ({
      ...operation,
      steps: await records.list('steps', { where: { operationId: operation.id }, orderBy: ['position', 'ascending'] }),
    })),
  );
};

export const showRun = async (ports: Ports, runId: string): Promise<RunDetail> => {
  const run = await readRun(ports, runId);
  const operations = await readOperations(ports, run);
  const rollouts = await ports.records.list('rollouts', { where: { runId: run.id }, orderBy: ['startedAt', 'ascending'] });
  const aside = operations
    .filter((each) => each.stage.startsWith('rollback:'))
    .map((each) => ({ name: each.stage, kind: 'rollback' as const }));
  const planned = planStages(run).map(({ name, kind }) => ({ name, kind }));
  const stages = [...planned, ...aside.filter((stage) => !planned.some((each) => each.name === stage.name))];
  return {
    run,
    stages: stages.map((stage) => ({ ...stage, state: stageState(run, stage.name, operations) })),
    operations,
    rollouts: await Promise.all(
      rollouts.map(async (rollout) => ({
        ...rollout,
        hosts: await ports.records.list('rolloutHosts', { where: { rolloutId: rollout.id } }),
      })),
    ),
  };
};

export const readLog = async (ports: Ports, query: LogQuery): Promise<LogView> => {
  const run = await readRun(ports, query.runId);
  const operations = (await readOperations(ports, run)).filter((each) => query.operationId === undefined || each.id === query.operationId);
  if (query.operationId !== undefined && operations.length === 0)
    throw unknown({
      code: 'OPERATION_UNKNOWN',
      message: `Run ${run.id} has no operation ${query.operationId}`,
      hint: 'See `pipit run show`.',
    });
  const read = (operationId: string) =>
    ports.logs.read(
      { operationId, ...(query.step === undefined ? {} : { step: query.step }) },
      query.maxBytes === undefined ? {} : { maxBytes: query.maxBytes },
    );
  return {
    operations: await Promise.all(operations.map(async ({ id, stage }) => ({ operationId: id, stage, ...(await read(id)) }))),
  };
};
