import type { PipelineCatalog } from '../ports/parts.js';
import type { RecordsReader } from '../ports/records.js';
import type { RunRow } from '../records/rows.js';
import { lockNameOf, type RunView } from './decide.js';

const firstRollout = (run: RunRow): string => `rollout:${run.rings[0]?.name ?? ''}`;

/** Whether a run has had its canary, or stands before it waiting for the lock. */
const hasCanary = (run: RunRow): boolean =>
  (run.kind === 'delivery' && run.completedStages.includes(firstRollout(run))) ||
  (run.state === 'waiting' && run.waitingFor === 'rollout-lock');

/** Reads all that a decision about a run looks at. */
export const readView = async (reader: RecordsReader, run: RunRow, catalog: PipelineCatalog, now: Date): Promise<RunView> => {
  const { app, role } = run;
  const [operations, lock, promotions, rings, rollouts, newer] = [
    await reader.list('operations', { where: { runId: run.id, attempt: run.attempt } }),
    await reader.get('locks', { name: lockNameOf(run) }),
    await reader.list('promotions', { where: { runId: run.id } }),
    await reader.list('rings', { where: { app, role } }),
    await reader.list('rollouts', { where: { runId: run.id }, orderBy: ['sequence', 'ascending'] }),
    await reader.list('runs', {
      where: { app, role, kind: 'delivery' },
      after: { column: 'number', value: run.number },
      orderBy: ['number', 'ascending'],
    }),
  ];
  // A newer run that failed before its canary, or went stale, is in nobody's way; one whose canary failed has been there all the same.
  const newerRun = newer.find((other) => hasCanary(other) || (other.state === 'ended' && other.stage.startsWith('rollback:')));
  return { run, operations, lock, promotions, rings, rollouts, policies: catalog.get(run.pipeline)?.rings ?? [], newerRun, now };
};
