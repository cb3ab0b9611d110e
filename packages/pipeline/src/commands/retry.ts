import { appendAudit } from '../audit.js';
import { stageOf } from '../conduct/decide.js';
import type { PipelineCatalog } from '../ports/parts.js';
import type { RecordsReader } from '../ports/records.js';
import type { RunId } from '../records/ids.js';
import { pipelineOfRun } from '../records/pipeline-of-run.js';
import type { ErrorRecord, RunRow } from '../records/rows.js';
import { refuse } from './command-error.js';
import type { Asked, CommandPorts } from './command-ports.js';

export interface Retried {
  readonly runId: RunId;
  /** Where it goes on. */
  readonly stage: string;
  /** The number of this try, from 2. */
  readonly attempt: number;
}

/** Why a run is not continued; undefined when it may be. */
const whyNot = async (reader: RecordsReader, run: RunRow, catalog: PipelineCatalog): Promise<ErrorRecord | undefined> => {
  const { id, app, role } = run;
  if (run.state !== 'ended') {
    const now = run.waitingFor === 'outside' ? `it tries again by itself: ${run.reason ?? ''}` : `it is at ${run.stage}`;
    return { code: 'RETRY_NOT_FAILED', message: `Run ${id} has not failed: ${now}`, hint: 'Follow it: `pipit run show`.' };
  }
  if (run.outcome !== 'failed')
    return {
      code: 'RETRY_NOT_FAILED',
      message: `Run ${id} has not failed, it ended as ${run.outcome}: ${run.reason ?? ''}`,
      hint: 'Push a commit instead.',
    };
  const bound = await reader.get('apps', { app });
  if (bound !== undefined && (bound.repositoryId !== run.repository.id || (run.kind === 'delivery' && bound.ref !== run.ref)))
    return {
      code: 'RETRY_BOUND_ELSEWHERE',
      message: `App ${app} is delivered from ${bound.ref} of ${bound.repositoryName} by pipeline ${bound.pipeline} now, and run ${id} was for another`,
      hint: 'Push a commit there.',
    };
  if (pipelineOfRun(catalog, run) === undefined)
    return {
      code: 'PIPELINE_GONE',
      message: `The config has no pipeline for run ${id} any more`,
      hint: 'Put it back into the config file.',
    };
  const [first] = run.rings;
  const [latest] = await reader.list('rollouts', {
    where: { app, role, ...(first === undefined ? {} : { ring: first.name }), purpose: 'forward' },
    orderBy: ['sequence', 'descending'],
    limit: 1,
  });
  const canary = latest && (await reader.get('runs', { id: latest.runId }));
  if (run.kind !== 'rollback' && canary !== undefined && canary.number > run.number)
    return {
      code: 'RETRY_SUPERSEDED',
      message: `Run ${canary.id} is newer than ${id} and has taken ${first?.name ?? 'the first ring'}`,
      hint: 'Push a commit that brings the change back on top of it.',
    };
  const open = await reader.list('runs', { where: { app, role, state: ['active', 'waiting'] } });
  const other = run.kind === 'rollback' ? open.find((each) => each.stage === run.stage) : undefined;
  const later = run.kind === 'rollback' ? await newestIn(reader, run) : undefined;
  if (other !== undefined || (later !== undefined && later.number > run.number))
    return {
      code: 'RETRY_SUPERSEDED',
      message: `Run ${(other ?? later)?.id} came to ${run.targetRing ?? 'the ring'} after ${id}`,
      hint: 'Look at the ring; then `pipit rollback` if it is to go back.',
    };
  return undefined;
};

/** The run that the target ring was given something by last. */
const newestIn = async (reader: RecordsReader, { app, role, targetRing }: RunRow): Promise<RunRow | undefined> => {
  if (targetRing === null) return undefined;
  const [rollout] = await reader.list('rollouts', {
    where: { app, role, ring: targetRing },
    orderBy: ['sequence', 'descending'],
    limit: 1,
  });
  return rollout && reader.get('runs', { id: rollout.runId });
};

/** A bake that failed is not baked on: its ring is brought to the release again, and watched from the beginning. */
const completedFor = (run: RunRow): readonly string[] => {
  const stage = stageOf(run);
  return stage?.kind === 'bake' ? run.completedStages.filter((each) => each !== `rollout:${stage.ring}`) : run.completedStages;
};

/** Continues a failed run at the stage that failed. Its effects get new keys: what was tried before is not taken for this try. */
export const retry = async (
  { records, catalog, clock, wakeRun }: CommandPorts,
  request: Asked & { readonly runId: RunId },
): Promise<Retried> => {
  const retried = await records.transaction(async (transaction) => {
    const found = await transaction.get('runs', { id: request.runId });
    if (found !== undefined) await transaction.lock(`app:${found.app}`);
    const run = found && (await transaction.get('runs', { id: request.runId }));
    if (run === undefined) return refuse({ code: 'RUN_UNKNOWN', message: `There is no run ${request.runId}`, hint: 'See `pipit runs`.' });
    const refused = await whyNot(transaction, run, catalog);
    if (refused !== undefined) return refuse(refused);
    const at = clock.now();
    const again: RunRow = {
      ...run,
      completedStages: completedFor(run),
      state: 'active',
      waitingFor: null,
      dueAt: null,
      waitedMs: 0,
      dueAfterMs: null,
      outcome: null,
      reason: null,
      attempt: run.attempt + 1,
      cancelRequestedBy: null,
      updatedAt: at.toISOString(),
      endedAt: null,
    };
    const stage = stageOf(again)?.name ?? run.stage;
    await transaction.update('runs', { id: run.id }, { ...again, stage });
    const detail = { stage, attempt: again.attempt, failedWith: run.reason, why: request.reason ?? null };
    await appendAudit(transaction, { at, actor: request.actor, action: 'run.retry', subject: run.id, detail });
    return { runId: run.id, stage, attempt: again.attempt };
  });
  wakeRun(retried.runId);
  return retried;
};
