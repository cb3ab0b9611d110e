import type { PipelineCatalog } from '../ports/parts.js';
import type { RecordsReader } from '../ports/records.js';
import type { RunId } from '../records/ids.js';
import { pipelineOfRun } from '../records/pipeline-of-run.js';
import type { RunRow } from '../records/rows.js';
import { type RunView, stageOf } from './decide.js';
import { lockNamesOf } from './locks.js';

/** Of a run whose pipeline is not in the config any more. */
const DEFAULT_PATIENCE_MS = 15 * 60_000;

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

/** Whether what a run does next, or now, is to bring a ring back: asked for by a person, or because its release failed there. */
const isGoingBack = (run: RunRow): boolean => stageOf(run)?.kind === 'rollback';

/** Reads all that a decision about a run, at the stage that it is at, looks at. */
export const readView = async (reader: RecordsReader, run: RunRow, catalog: PipelineCatalog, now: Date): Promise<RunView> => {
  const { app, role } = run;
  const definition = pipelineOfRun(catalog, run);
  const policies = definition?.rings ?? [];
  const own = { run, waitedMs: run.waitedMs, patienceMs: definition?.patienceMs ?? DEFAULT_PATIENCE_MS, policies, now };
  if (!looksAtAll(run)) {
    const operations = await reader.list('operations', { where: { runId: run.id } });
    return { ...own, operations, locks: [], rollbacks: [], promotions: [], rings: [], rollouts: [], newerRun: undefined };
  }
  // Asked together: one round trip.
  const [operations, locks, promotions, rings, rollouts, open, latest] = await Promise.all([
    reader.list('operations', { where: { runId: run.id } }),
    reader.list('locks', { where: { name: lockNamesOf(run, run.rings) } }),
    reader.list('promotions', { where: { runId: run.id } }),
    reader.list('rings', { where: { app, role } }),
    reader.list('rollouts', { where: { runId: run.id }, orderBy: ['sequence', 'ascending'] }),
    reader.list('runs', { where: { app, role, state: ['active', 'waiting'] }, orderBy: ['number', 'ascending'] }),
    readLatestCanary(reader, run),
  ]);
  // A newer run that failed before its canary, or went stale, is in nobody's way; one whose canary failed has been there all the same.
  const canary = latest === run.id ? run : latest && (await reader.get('runs', { id: latest }));
  const waiting = open.find((each) => each.number > run.number && each.kind === 'delivery' && each.waitingFor === 'rollout-lock');
  const newerRun = canary !== undefined && canary.number > run.number ? canary : waiting;
  const rollbacks = open.filter((each) => each.id !== run.id && isGoingBack(each));
  return { ...own, operations, locks, rollbacks, promotions, rings, rollouts, newerRun };
};
