import { matchPipeline } from '@pipit/config';
import {
  PluginError,
  parseAppName,
  parsePackageVersion,
  parseRingName,
  parseRoleName,
  type RepositoryRef,
  requireStorable,
} from '@pipit/core';
import {
  type Actor,
  authorize,
  type CommandPorts,
  cancel,
  type EventId,
  type OperationId,
  promote,
  type RunId,
  retry,
  rollback,
} from '@pipit/pipeline';
import type { Api } from './api.js';
import { authorizedApi } from './authorized-api.js';
import { type Ground, parts } from './compose-pipeline.js';
import type { Container } from './container.js';
import { createCall } from './effects.js';
import { systemClock } from './machine/system-clock.js';
import { listApps } from './views/list-apps.js';
import { listHosts } from './views/list-hosts.js';
import { listPage } from './views/pages.js';
import { planChange } from './views/plan-change.js';
import { publicApp, publicRun } from './views/public-view.js';
import { runDoctor } from './views/run-doctor.js';
import { readLog, showRun } from './views/show-run.js';
import { unknown } from './views/unknown.js';
import type { ViewPorts } from './views/view-ports.js';

const whyOf = (reason: string | undefined) => (reason === undefined ? {} : { reason });

const FIND_DEADLINE_MS = 30_000;

/** The repository of an app that has had a run, or one that a pipeline's trigger knows by this name. */
const findRepository = async (
  ground: Ground,
  named: string,
): Promise<{ readonly repository: RepositoryRef; readonly instance: string }> => {
  const { config, storage, instances, logger, stopping } = ground;
  const [known] = await storage.records.list('runs', {
    where: { app: named as ReturnType<typeof parseAppName> }, // a name that nobody has finds nothing
    orderBy: ['number', 'descending'],
    limit: 1,
  });
  const triggerOf = (name: string): string | undefined => matchPipeline(config, name)?.trigger.use;
  if (known !== undefined) {
    const instance = triggerOf(known.repository.name);
    if (instance !== undefined) return { repository: known.repository, instance };
  }
  for (const instance of new Set(Object.values(config.pipelines).map((pipeline) => pipeline.trigger.use))) {
    const trigger = instances.get(instance)?.trigger;
    const repository = await trigger?.findRepository?.(named, createCall(logger, stopping, FIND_DEADLINE_MS));
    if (repository !== undefined) return { repository, instance };
  }
  throw unknown({
    code: 'REPOSITORY_UNKNOWN',
    message: `No trigger knows a repository ${named}`,
    hint: 'Give its name as the config has it, for example acme/web, or the name of an app that has had a run.',
  });
};

/** The runtime's side of the Api, on behalf of one actor: every call behind {@link authorize}. */
export const createApi = (ground: Ground, container: Container, actor: Actor): Api =>
  authorizedApi(createStorableApi(ground, container, actor), actor);

/** A call with text that cannot be stored is refused, whoever makes it. */
const createStorableApi = (ground: Ground, container: Container, actor: Actor): Api => {
  requireStorable(actor, 'the actor');
  return new Proxy(createUncheckedApi(ground, container, actor), {
    get: (api, name, receiver) => {
      const member: unknown = Reflect.get(api, name, receiver);
      if (typeof member !== 'function') return member;
      return (...given: unknown[]): unknown => {
        try {
          for (const each of given) requireStorable(each, 'the call');
        } catch (error) {
          if (name === 'follow') throw error;
          return Promise.reject(error);
        }
        return Reflect.apply(member, api, given);
      };
    },
  });
};

const createUncheckedApi = (ground: Ground, container: Container, actor: Actor): Api => {
  const { records, logs, folder } = ground.storage;
  const views = (): ViewPorts => ({
    records,
    logs,
    catalog: container.get(parts.catalog),
    instances: ground.instances,
    sources: container.get(parts.sources),
    logger: ground.logger,
    signal: ground.stopping,
    withOp: createViewOp(ground, container),
  });
  const commands = (): CommandPorts => ({
    records,
    catalog: container.get(parts.catalog),
    clock: systemClock,
    wakeRun: (runId) => {
      container.get(parts.changes).publish(runId);
      container.get(parts.conductor).wakeRun(runId);
    },
  });
  /** In quarantine nothing may begin: what is asked for would wait, and be overtaken by the reconciliation. */
  const unlessQuarantined = async <T>(work: () => Promise<T>): Promise<T> => {
    const quarantine = await container.get(parts.quarantine).read();
    if (quarantine === null) return work();
    throw new PluginError({
      code: 'PIPIT_QUARANTINED',
      message: `Pipit is in quarantine: ${quarantine}`,
      hint: 'Find out why, then `pipit reconcile --reason "..."`, and ask again.',
      recovery: 'stop',
    });
  };
  const seesAll = authorize(actor, 'read').allowed;
  return {
    listApps: async () => {
      const apps = await listApps(views());
      return seesAll ? apps : apps.map(publicApp);
    },
    listRuns: async ({ app, state, ...page } = {}) => {
      const { rows, next } = await listPage(records, 'runs', {
        by: 'createdAt',
        cursor: 'instant',
        page,
        where: { ...(app === undefined ? {} : { app: parseAppName(app) }), ...(state === undefined ? {} : { state }) },
      });
      return { rows: seesAll ? rows : rows.map(publicRun), next };
    },
    showRun: (runId) => showRun(views(), runId),
    readLog: (query) => readLog(views(), query),
    listReleases: ({ app, ...page }) =>
      listPage(records, 'releases', { by: 'createdAt', cursor: 'instant', page, where: { app: parseAppName(app) } }),
    listHosts: (query) => listHosts(views(), query),
    showEvent: async (eventId) => {
      const event = await records.get('events', { id: eventId as EventId }); // an id that nobody made finds nothing
      if (event === undefined)
        throw unknown({ code: 'EVENT_UNKNOWN', message: `There is no event ${eventId}`, hint: 'See `pipit events`.' });
      return event;
    },
    listEvents: (page = {}) => listPage(records, 'events', { by: 'id', cursor: 'id', page }),
    listAudit: (page = {}) => listPage(records, 'audit', { by: 'sequence', cursor: 'sequence', page }),
    listAuditHeads: (page = {}) => listPage(records, 'auditHeads', { by: 'sequence', cursor: 'sequence', page }),
    plan: async ({ repository, ref, commit }) => {
      const found = await findRepository(ground, repository);
      return planChange(views(), { ...found, ref, ...(commit === undefined ? {} : { commit }) });
    },
    doctor: async () =>
      runDoctor(views(), {
        workFolder: folder.sources,
        sandbox: ground.sandbox,
        unguarded: ground.storage.lock.unguarded,
        quarantine: await container.get(parts.quarantine).read(),
        auditRights: await ground.storage.readAuditRights(),
        auditFault: await ground.heads.findFault(),
      }),
    promote: ({ app, role, ring, ifCanary, reason }) =>
      unlessQuarantined(() =>
        promote(commands(), {
          app: parseAppName(app),
          actor,
          ...(role === undefined ? {} : { role: parseRoleName(role) }),
          ...(ring === undefined ? {} : { ring: parseRingName(ring) }),
          ...(ifCanary === undefined ? {} : { ifCanary: parsePackageVersion(ifCanary) }),
          ...whyOf(reason),
        }),
      ),
    rollback: ({ app, role, ring, reason }) =>
      unlessQuarantined(() =>
        rollback(commands(), {
          app: parseAppName(app),
          actor,
          ...(role === undefined ? {} : { role: parseRoleName(role) }),
          ...(ring === undefined ? {} : { ring: parseRingName(ring) }),
          ...whyOf(reason),
        }),
      ),
    cancel: ({ runId, reason }) => cancel(commands(), { runId: runId as RunId, actor, ...whyOf(reason) }), // an id that nobody made finds nothing
    retry: ({ runId, reason }) => unlessQuarantined(() => retry(commands(), { runId: runId as RunId, actor, ...whyOf(reason) })), // an id that nobody made finds nothing
    reconcile: async ({ reason }) => ({ rings: await container.get(parts.quarantine).reconcile(actor, reason) }),
    listTokens: () => container.get(parts.tokens).list(),
    createToken: async (command) => {
      const made = await container.get(parts.tokens).create(command, actor);
      ground.redactor.register(made.token);
      return made;
    },
    revokeToken: ({ name }) => container.get(parts.tokens).revoke(name, actor),
    follow: (options) => container.get(parts.changes).follow(options),
  };
};

const VIEW_DEADLINE_MS = 60_000;

/** A look from outside any operation: it gets a folder of its own like an effect, and leaves nothing. */
const createViewOp =
  (ground: Ground, container: Container): ViewPorts['withOp'] =>
  (name, part, commit, work) => {
    const id = `view:${name}:${Math.random().toString(36).slice(2)}`;
    return container.get(parts.effects).run(
      {
        part,
        operationId: id as OperationId, // no row bears it, so the janitor removes what a crash leaves
        step: name,
        key: id,
        attempt: 1,
        commit,
        folder: 'attempt',
        deadlineMs: VIEW_DEADLINE_MS,
        signal: ground.stopping,
        onReport: () => undefined,
        onOutput: () => undefined,
      },
      work,
    );
  };
