import { appNameOf, type ChangeEvent, type RoleName } from '@pipit/core';
import { openAudit, PIPIT_ACTOR } from '../audit.js';
import type { PipelineClock } from '../ports/clock.js';
import type { PipelineCatalog, PipelineDefinition } from '../ports/parts.js';
import type { Records } from '../ports/records.js';
import { type RunId, runIdOf } from '../records/ids.js';
import { nextRunNumber } from '../records/next-run-number.js';
import type { EventRow, RunRow } from '../records/rows.js';
import { bindApp } from './bind-app.js';
import { judgePush } from './judge-push.js';
import { pushKeyOf } from './push-key.js';

/** What became of an event. */
export interface Verdict {
  readonly outcome: string;
  readonly runId: RunId | null;
}

/** The verdict that an event starts nothing, and why. */
export const nothing = (outcome: string): Verdict => ({ outcome, runId: null });

export type ChangeWithCommit = ChangeEvent & { readonly sha: NonNullable<ChangeEvent['sha']> };

interface RunToStart {
  readonly pipeline: PipelineDefinition;
  readonly role: RoleName;
  /** Whether the commit is still its ref's head. */
  readonly isHead: boolean;
}

const verdictOf = (run: RunRow): Verdict => ({
  outcome: run.outcome === 'stale' ? `Run ${run.id}: ${run.reason ?? ''}` : `Run ${run.id} began`,
  runId: run.id,
});

/** Starts the run of a push, or records why the push starts none. One transaction under the app's lock. */
export const startRun = async (
  ports: { readonly records: Records; readonly catalog: PipelineCatalog; readonly clock: PipelineClock },
  row: EventRow,
  event: ChangeWithCommit,
  { pipeline, role, isHead }: RunToStart,
): Promise<Verdict> => {
  const { records, clock } = ports;
  const { repository, ref, sha, before } = event;
  const app = appNameOf(repository);
  return records.transaction(async (transaction) => {
    const at = clock.now().toISOString();
    const headKey = { repositoryId: repository.id, ref };
    // Asked together: one round trip.
    const [, bound, [own], head, number] = await Promise.all([
      transaction.lock(`app:${app}`),
      transaction.get('apps', { app }),
      transaction.list('runs', { where: { eventId: row.id }, limit: 1 }),
      transaction.get('heads', headKey),
      nextRunNumber(transaction, app),
    ]);
    const binding = await bindApp(transaction, { event, instance: row.instance }, { pipeline, catalog: ports.catalog, bound, at });
    if ('refused' in binding) return nothing(binding.refused);
    // Killed before the event was marked as handled: it started this run already.
    if (own !== undefined) return verdictOf(own);
    const push = judgePush({ sha, before, isHead, polled: row.polled }, head);
    if (push.type === 'known') return nothing(`${ref} was reported at ${sha} before`);
    const staleReason = `${sha} is no longer the head of ${ref}`;
    if (push.type === 'passed') {
      const [same] = await transaction.list('runs', { where: { app, ref, sha, kind: 'delivery' }, limit: 1 });
      if (push.move !== undefined) await transaction.put('heads', { ...headKey, sha, moves: push.move, updatedAt: at });
      if (same !== undefined) return nothing(`${staleReason}; run ${same.id} is of this commit`);
    }
    const append = await openAudit(transaction);
    const id = runIdOf(app, number);
    const move = push.type === 'new' ? push.move : row.id;
    const run: RunRow = {
      id,
      app,
      role,
      number,
      pipeline: pipeline.name,
      kind: 'delivery',
      pushKey: pushKeyOf({ app, repository, ref, move }),
      repository,
      ref,
      sha,
      committedAt: null,
      author: event.author ?? null,
      eventId: row.id,
      actor: null,
      version: null,
      rings: pipeline.rings,
      health: null,
      metadata: null,
      targetRing: null,
      state: isHead ? 'active' : 'ended',
      stage: 'build',
      completedStages: [],
      waitingFor: null,
      dueAt: null,
      waitedMs: 0,
      dueAfterMs: null,
      outcome: isHead ? null : 'stale',
      reason: isHead ? null : staleReason,
      failure: null,
      attempt: 1,
      cancelRequestedBy: null,
      createdAt: at,
      updatedAt: at,
      endedAt: isHead ? null : at,
    };
    binding.store();
    transaction.sendWithCommit(transaction.insert('runs', run));
    if (push.type === 'new') transaction.sendWithCommit(transaction.put('heads', { ...headKey, sha, moves: push.move, updatedAt: at }));
    const detail = { event: row.id, sha, stale: !isHead };
    append(...binding.noted, { at: clock.now(), actor: PIPIT_ACTOR, action: 'run.begin', subject: id, detail });
    return verdictOf(run);
  });
};
