import { appNameOf, type ChangeEvent, isPluginError, type RoleName } from '@pipit/core';
import type { Hints } from '../hints.js';
import type { PipelineClock } from '../ports/clock.js';
import type { PipelineCatalog, Sources } from '../ports/parts.js';
import type { Records } from '../ports/records.js';
import type { EventRow } from '../records/rows.js';
import { type ChangeWithCommit, nothing, startRun, type Verdict } from './start-run.js';

export interface HandlePorts {
  readonly records: Records;
  readonly catalog: PipelineCatalog;
  readonly sources: Sources;
  readonly clock: PipelineClock;
  readonly hints: Hints;
}

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
const forgetHead = async (
  { records, sources, clock }: HandlePorts,
  { polled }: EventRow,
  { repository, ref, before }: ChangeEvent,
  signal: AbortSignal,
): Promise<Verdict> => {
  const key = { repositoryId: repository.id, ref };
  const known = await records.get('heads', key);
  // Nothing was delivered from it: anyone who clears away a hundred branches makes nobody query git a hundred times.
  if (known === undefined || known.sha === null) return nothing(`${ref} was deleted`);
  // A hook reports what happened, also where the ref is there again by now. A late report that does not follow on what is known says nothing about now.
  const isNext = !polled && before === known.sha;
  if (isNext || (await sources.readHead(repository, ref, signal)) === undefined) {
    const changes = { sha: null, moves: known.moves + 1, updatedAt: clock.now().toISOString() };
    await records.transaction((transaction) => transaction.update('heads', key, changes));
  }
  return nothing(`${ref} was deleted`);
};

const handleChange = async (ports: HandlePorts, row: EventRow, event: ChangeEvent, signal: AbortSignal): Promise<Verdict> => {
  const { sha } = event;
  if (sha === null) return forgetHead(ports, row, event, signal);
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
