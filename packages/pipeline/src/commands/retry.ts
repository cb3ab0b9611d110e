import type { RingName } from '@pipit/core';
import { appendAudit } from '../audit.js';
import { stageOf } from '../conduct/decide.js';
import type { PipelineCatalog } from '../ports/parts.js';
import type { RecordsReader } from '../ports/records.js';
import type { RunId } from '../records/ids.js';
import { pipelineOfRun } from '../records/pipeline-of-run.js';
import type { ErrorRecord, RingPolicy, RunRow } from '../records/rows.js';
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
  const definition = pipelineOfRun(catalog, run);
  if (definition === undefined)
    return {
      code: 'PIPELINE_GONE',
      message: `The config has no pipeline for run ${id} any more`,
      hint: 'Put it back into the config file.',
    };
  const at = stageOf(run);
  if (at !== undefined && 'ring' in at && at.kind !== 'rollback' && feederOf(definition.rings, at.ring) !== feederOf(run.rings, at.ring))
    return {
      code: 'RETRY_RINGS_CHANGED',
      message: `The config has other rings before ${at.ring} now than when run ${id} began, or ${at.ring} no more`,
      hint: 'Promote ring by ring with `pipit promote`, or push a commit.',
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
  if (at?.kind === 'rollback') {
    const open = await reader.list('runs', { where: { app, role, state: ['active', 'waiting'] } });
    const other = open.find((each) => each.stage === at.name)?.id ?? (await laterIn(reader, run, at.ring));
    if (other !== undefined)
      return {
        code: 'RETRY_SUPERSEDED',
        message: `Run ${other} came to ${at.ring} after ${id}`,
        hint: 'Look at the ring; then `pipit rollback` if it is to go back.',
      };
  }
  return undefined;
};

/** The run that gave the ring something after this run last did, or, where it never did, after it began. */
const laterIn = async (reader: RecordsReader, run: RunRow, ring: RingName): Promise<RunId | undefined> => {
  const { app, role, id, number, createdAt } = run;
  const rollouts = await reader.list('rollouts', { where: { app, role, ring }, orderBy: ['sequence', 'descending'] });
  const [newest] = rollouts;
  if (newest === undefined || newest.runId === id) return undefined;
  if (rollouts.some((each) => each.runId === id)) return newest.runId;
  // Of a run that is older, the numbers do not tell: it may have waited for a person since.
  const by = await reader.get('runs', { id: newest.runId });
  return (by !== undefined && by.number > number) || newest.startedAt > createdAt ? newest.runId : undefined;
};

/** Of which ring a ring gets its release: another one today, and the run would go past one that nobody asked. */
const feederOf = (rings: readonly RingPolicy[], ring: RingName): RingName | null | undefined => {
  const at = rings.findIndex((each) => each.name === ring);
  return at < 0 ? undefined : (rings[at - 1]?.name ?? null);
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
