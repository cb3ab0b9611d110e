import { type AppName, appNameOf, type ChangeEvent, isReservedPackageName } from '@pipit/core';
import { type AuditEntry, PIPIT_ACTOR } from '../audit.js';
import type { PipelineCatalog, PipelineDefinition } from '../ports/parts.js';
import type { RecordsTransaction } from '../ports/records.js';
import type { AppRow } from '../records/rows.js';

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
export const bindApp = async (
  transaction: RecordsTransaction,
  { event, instance }: { readonly event: ChangeEvent; readonly instance: string },
  { pipeline, catalog, bound, at }: Binding,
): Promise<{ readonly refused: string } | Bound> => {
  const app = appNameOf(event.repository);
  const refuse = (refused: string) => ({ refused });
  if (bound === undefined) {
    if (isReservedPackageName(app))
      return refuse(
        `App ${app} would have a package of the name of one that hosts cannot do without; rename repository ${event.repository.name}`,
      );
    const { id: repositoryId, name: repositoryName } = event.repository;
    const row = { app, repositoryId, repositoryName, pipeline: pipeline.name, ref: event.ref, createdAt: at };
    return { store: () => transaction.sendWithCommit(transaction.insert('apps', row)), noted: [] };
  }
  const isSame = bound.repositoryId === event.repository.id;
  const teller = isSame || bound.repositoryName !== event.repository.name ? instance : ((await lastTeller(transaction, app)) ?? instance);
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
