import type { PipelineCatalog } from '../ports/parts.js';
import type { RecordsReader } from '../ports/records.js';
import type { RunId } from '../records/ids.js';
import { pipelineOfRun } from '../records/pipeline-of-run.js';
import type { RunRow } from '../records/rows.js';
import { lockNameOf, type RunView, stageOf } from './decide.js';

/** The delivery that the first ring was given last, however that ended. */
const readLatestCanary = async (reader: RecordsReader, run: RunRow): Promise<RunId | undefined> => {
  const [first] = run.rings;
  if (first === undefined) return undefined;
  const [rollout] = await reader.list('rollouts', {
    where: { app: run.app, role: run.role, ring: first.name, purpose: 'forward' },
    orderBy: ['sequence', 'descending'],
    limit: 1,
  });
  return rollout?.runId;
};

/** Whether a decision about the run looks beyond its own operations. Building, packaging and publishing concern the run alone, and so does its end. */
export const looksAtAll = (run: RunRow): boolean => (stageOf(run)?.kind ?? 'operation') !== 'operation';

/** Reads all that a decision about a run, at the stage that it is at, looks at. */
export const readView = async (reader: RecordsReader, run: RunRow, catalog: PipelineCatalog, now: Date): Promise<RunView> => {
  const { app, role } = run;
  const policies = pipelineOfRun(catalog, run)?.rings ?? [];
  if (!looksAtAll(run)) {
    const operations = await reader.list('operations', { where: { runId: run.id, attempt: run.attempt } });
    return { run, operations, lock: undefined, promotions: [], rings: [], rollouts: [], policies, newerRun: undefined, now };
  }
  // Asked together: one round trip.
  const [operations, lock, promotions, rings, rollouts, newer, latest] = await Promise.all([
    reader.list('operations', { where: { runId: run.id, attempt: run.attempt } }),
    reader.get('locks', { name: lockNameOf(run) }),
    reader.list('promotions', { where: { runId: run.id } }),
    reader.list('rings', { where: { app, role } }),
    reader.list('rollouts', { where: { runId: run.id }, orderBy: ['sequence', 'ascending'] }),
    reader.list('runs', {
      where: { app, role, kind: 'delivery', state: 'waiting', waitingFor: 'rollout-lock' },
      after: { column: 'number', value: run.number },
      orderBy: ['number', 'ascending'],
    }),
    readLatestCanary(reader, run),
  ]);
  // A newer run that failed before its canary, or went stale, is in nobody's way; one whose canary failed has been there all the same.
  const canary = latest === run.id ? run : latest && (await reader.get('runs', { id: latest }));
  const newerRun = canary !== undefined && canary.number > run.number ? canary : newer[0];
  return { run, operations, lock, promotions, rings, rollouts, policies, newerRun, now };
};
