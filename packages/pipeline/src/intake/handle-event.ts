import { type AppName, appNameOf, type ChangeEvent, isPluginError, type RoleName } from '@pipit/core';
import { type AuditEntry, openAudit, PIPIT_ACTOR } from '../audit.js';
import type { Hints } from '../hints.js';
import type { PipelineClock } from '../ports/clock.js';
import type { PipelineCatalog, PipelineDefinition, Sources } from '../ports/parts.js';
import type { Records, RecordsTransaction } from '../ports/records.js';
import { type RunId, runIdOf } from '../records/ids.js';
import type { AppRow, EventRow, RunRow } from '../records/rows.js';
import { pushKeyOf } from './push-key.js';

export interface HandlePorts {
  readonly records: Records;
  readonly catalog: PipelineCatalog;
  readonly sources: Sources;
  readonly clock: PipelineClock;
  readonly hints: Hints;
}

export interface Verdict {
  readonly outcome: string;
  readonly runId: RunId | null;
}

const nothing = (outcome: string): Verdict => ({ outcome, runId: null });

/** Numbers grow by one within an app; call it under the app's lock. */
export const nextRunNumber = async (transaction: RecordsTransaction, app: RunRow['app']): Promise<number> => {
  const [last] = await transaction.list('runs', { where: { app }, orderBy: ['number', 'descending'], limit: 1 });
  return (last?.number ?? 0) + 1;
};

type ChangeWithCommit = ChangeEvent & { readonly sha: NonNullable<ChangeEvent['sha']> };

/** The trigger that told of the app's last delivery; undefined when there was none. */
const lastTeller = async (transaction: RecordsTransaction, app: AppName): Promise<string | undefined> => {
  const [last] = await transaction.list('runs', { where: { app, kind: 'delivery' }, orderBy: ['number', 'descending'], limit: 1 });
  return last?.eventId == null ? undefined : (await transaction.get('events', { id: last.eventId }))?.instance;
};

interface Binding {
  readonly pipeline: PipelineDefinition;
  readonly catalog: PipelineCatalog;
  /** As the app is bound now; undefined when it was never seen. */
  readonly bound: AppRow | undefined;
  readonly at: string;
}

/** What a run that begins has to store of its app, and what the audit notes of that. */
interface Bound {
  readonly store: () => void;
  readonly noted: readonly AuditEntry[];
}

/**
 * Why this repository, pipeline and ref may not feed the app, or how it is bound to them.
 *
 * What an app is bound to is what the config said then. Where the config says something else today, the app goes on with that: a renamed
 * pipeline, another branch, or another trigger, which knows the same repository by another id. Nothing but the config unties an app.
 */
const bindApp = async (
  transaction: RecordsTransaction,
  { event, instance }: { readonly event: ChangeEvent; readonly instance: string },
  { pipeline, catalog, bound, at }: Binding,
): Promise<{ readonly refused: string } | Bound> => {
  const app = appNameOf(event.repository);
  if (bound === undefined) {
    const { id: repositoryId, name: repositoryName } = event.repository;
    const row = { app, repositoryId, repositoryName, pipeline: pipeline.name, ref: event.ref, createdAt: at };
    return { store: () => transaction.sendWithCommit(transaction.insert('apps', row)), noted: [] };
  }
  const isSame = bound.repositoryId === event.repository.id;
  const teller = isSame || bound.repositoryName !== event.repository.name ? instance : ((await lastTeller(transaction, app)) ?? instance);
  const refuse = (refused: string) => ({ refused });
  if (!isSame && teller === instance)
    return refuse(
      `App ${app} belongs to repository ${bound.repositoryName} (${bound.repositoryId}); ${event.repository.name} (${event.repository.id}) starts nothing`,
    );
  const isTaken = catalog.takes(bound.pipeline, bound.repositoryName, bound.ref);
  if (isTaken && bound.pipeline !== pipeline.name)
    return refuse(`App ${app} belongs to pipeline ${bound.pipeline}; ${pipeline.name} may not feed its rings too`);
  if (isTaken && bound.ref !== event.ref)
    return refuse(`App ${app} is delivered from ${bound.ref}; ${event.ref} may not feed its rings too`);
  if (isSame && bound.pipeline === pipeline.name && bound.ref === event.ref) return { store: () => undefined, noted: [] };
  const to = { repositoryId: event.repository.id, pipeline: pipeline.name, ref: event.ref };
  const { repositoryId, pipeline: pipelineBefore, ref } = bound;
  const detail = { from: { trigger: teller, repositoryId, pipeline: pipelineBefore, ref }, to: { trigger: instance, ...to } };
  return {
    store: () => transaction.sendWithCommit(transaction.update('apps', { app }, to)),
    noted: [{ at: new Date(at), actor: PIPIT_ACTOR, action: 'app.rebind', subject: app, detail }],
  };
};

interface RunToStart {
  readonly pipeline: PipelineDefinition;
  readonly role: RoleName;
  /** The commit is still its ref's head. */
  readonly isHead: boolean;
}

const verdictOf = (run: RunRow): Verdict => ({
  outcome: run.outcome === 'stale' ? `Run ${run.id}: ${run.reason ?? ''}` : `Run ${run.id} began`,
  runId: run.id,
});

const startRun = async (ports: HandlePorts, row: EventRow, event: ChangeWithCommit, begin: RunToStart): Promise<Verdict> => {
  const { pipeline, role, isHead } = begin;
  const { records, clock } = ports;
  const app = appNameOf(event.repository);
  return records.transaction(async (transaction) => {
    const at = clock.now().toISOString();
    const headKey = { repositoryId: event.repository.id, ref: event.ref };
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
    // Killed before the event was marked as handled: it began this run already.
    if (own !== undefined) return verdictOf(own);
    // Another hook, poll or backfill has told the same push, maybe without knowing the commit before.
    if (head?.sha === event.sha) return nothing(`${event.ref} was told to be at ${event.sha} before`);
    // A teller that does not know the commit before means the one that was told last: else a ref that is pushed back to an old commit looks told.
    const before = event.before ?? head?.sha ?? undefined;
    const pushKey = pushKeyOf({ ...event, ...(before === undefined ? {} : { before }) });
    const [[same], append] = await Promise.all([transaction.list('runs', { where: { pushKey }, limit: 1 }), openAudit(transaction)]);
    if (same !== undefined) return nothing(`Run ${same.id} is for the same push`);
    const id = runIdOf(app, number);
    const staleReason = `${event.sha} is no longer the head of ${event.ref}`;
    const run: RunRow = {
      id,
      app,
      role,
      number,
      pipeline: pipeline.name,
      kind: 'delivery',
      pushKey,
      repository: event.repository,
      ref: event.ref,
      sha: event.sha,
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
    if (isHead) transaction.sendWithCommit(transaction.put('heads', { ...headKey, sha: event.sha, updatedAt: at }));
    const detail = { event: row.id, sha: event.sha, stale: !isHead };
    append(...binding.noted, { at: clock.now(), actor: PIPIT_ACTOR, action: 'run.begin', subject: id, detail });
    return verdictOf(run);
  });
};

/** The role that the commit's own `pipit.yaml` names. A commit or file that cannot be used is the build's failure, where it is shown. */
const readOwnRole = async ({ sources }: HandlePorts, event: ChangeWithCommit, signal: AbortSignal): Promise<RoleName | undefined> => {
  try {
    const commit = await sources.fetchCommit(event.repository, event.ref, event.sha, signal);
    return (await sources.readFacts(commit, appNameOf(event.repository), signal)).role;
  } catch (thrown) {
    if (isPluginError(thrown) && thrown.recovery === 'stop') return undefined;
    throw thrown;
  }
};

/** A deleted ref has no head: made again, even at the commit it had, it is a push. */
const forgetHead = async ({ records, sources, clock }: HandlePorts, event: ChangeEvent, signal: AbortSignal): Promise<Verdict> => {
  const { repository, ref } = event;
  const key = { repositoryId: repository.id, ref };
  const known = await records.get('heads', key);
  // Nothing was delivered from it: whoever clears away a hundred branches makes nobody ask git a hundred times.
  if (known === undefined || known.sha === null) return nothing(`${ref} was deleted`);
  const gone = (await sources.readHead(repository, ref, signal)) === undefined;
  const changes = { sha: null, updatedAt: clock.now().toISOString() };
  // A late telling, of a ref that is there again, says nothing about now.
  if (gone) await records.transaction((transaction) => transaction.update('heads', key, changes));
  return nothing(`${ref} was deleted`);
};

const handleChange = async (ports: HandlePorts, row: EventRow, event: ChangeEvent, signal: AbortSignal): Promise<Verdict> => {
  const { sha } = event;
  if (sha === null) return forgetHead(ports, event, signal);
  const told: ChangeWithCommit = { ...event, sha };
  const match = await ports.catalog.match({ instance: row.instance, ...told, before: event.before, author: event.author }, signal);
  if ('reason' in match) return nothing(match.reason);
  const head = await ports.sources.readHead(event.repository, event.ref, signal);
  // A push of an annotated tag tells of the tag's own object; what is built is the commit that it names.
  const isHead = head !== undefined && (head.commit === sha || head.object === sha);
  const change = isHead ? { ...told, sha: head.commit } : told;
  const role = match.pipeline.roleOf(appNameOf(event.repository), isHead ? await readOwnRole(ports, change, signal) : undefined);
  return startRun(ports, row, change, { pipeline: match.pipeline, role, isHead });
};

const judge = async (ports: HandlePorts, row: EventRow, signal: AbortSignal): Promise<Verdict> => {
  const { body } = row;
  switch (body.type) {
    case 'change':
      return handleChange(ports, row, body.event, signal);
    case 'build': {
      const { type: _type, ...hint } = body;
      ports.hints.notify({ instance: row.instance, ...hint });
      return nothing('Hint: the build is looked at');
    }
    case 'alarm':
    case 'command':
    case 'host':
      return nothing(`Nothing in this installation listens to ${body.type} events`);
  }
};

/**
 * Decides what becomes of a durable event, once; {@link markHandled} stores that. A fault that may pass (the repository cannot be reached) is
 * thrown, and the event stays `received`; one that cannot is the event's outcome.
 */
export const judgeEvent = async (ports: HandlePorts, row: EventRow, signal: AbortSignal): Promise<Verdict> => {
  try {
    return await judge(ports, row, signal);
  } catch (thrown) {
    if (!isPluginError(thrown) || thrown.recovery !== 'stop') throw thrown;
    return nothing(`${thrown.code}: ${thrown.message}`);
  }
};

/** Marks events as handled, with what became of them. */
export const markHandled = async (records: Records, events: readonly (Verdict & Pick<EventRow, 'id'>)[]): Promise<void> => {
  const rows = events.map(({ id, outcome, runId }) => ({ id, state: 'handled' as const, outcome, runId }));
  // A run that it began is durable by itself; a mark that is lost with the machine only makes the event judged again, with the same end.
  await records.transaction((transaction) => transaction.updateAll('events', rows), { durable: 'soon', oneWrite: true });
};
