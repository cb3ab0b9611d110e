import type { Config } from '@pipit/config';
import { createStrangersYamlParser, matchPipeline } from '@pipit/config';
import type { Logger, Sandbox } from '@pipit/core';
import {
  type Conductor,
  createConductor,
  createHints,
  createIntake,
  createOperationCodes,
  type Engine,
  type Hints,
  type Intake,
  type OperationCode,
  type PipelineCatalog,
  type PipelineObserver,
} from '@pipit/pipeline';
import type { Redactor } from '@pipit/plugin-kit';
import type { HeadSigner } from './audit/head-signer.js';
import type { AuditHeads } from './audit/send-heads.js';
import { type ChangeFeed, createChangeFeed } from './change-feed.js';
import { type Container, createContainer, createToken } from './container.js';
import { createCall, createEffects, type RuntimeEffects } from './effects.js';
import { systemClock } from './machine/system-clock.js';
import { createIdSource } from './machine/time-ordered-ids.js';
import { createCatalog } from './plugins/catalog.js';
import type { Instances } from './plugins/instances.js';
import { createPoller, type Poller } from './plugins/poller.js';
import { createQuarantine, type Quarantine } from './quarantine.js';
import { createGitSources, type GitSources } from './sources/git-sources.js';
import { startWhenNeeded } from './start-when-needed.js';
import type { Storage } from './storage.js';
import { createTokens, type Tokens } from './tokens/tokens.js';

/** What exists before anything is composed. */
export interface Ground {
  readonly config: Config;
  readonly storage: Storage;
  readonly instances: Instances;
  readonly signer: HeadSigner;
  readonly heads: AuditHeads;
  readonly sandbox: Sandbox;
  readonly redactor: Redactor;
  readonly logger: Logger;
  readonly observer: PipelineObserver;
  readonly hookUrlOf: (instance: string) => string;
  /** Aborted when pipit stops. */
  readonly stopping: AbortSignal;
}

const ACCESS_DEADLINE_MS = 30_000;

export const parts = {
  sources: createToken<GitSources>('sources'),
  effects: createToken<RuntimeEffects>('effects'),
  catalog: createToken<PipelineCatalog>('catalog'),
  hints: createToken<Hints>('hints'),
  changes: createToken<ChangeFeed>('changes'),
  intake: createToken<Intake>('intake'),
  conductor: createToken<Conductor>('conductor'),
  poller: createToken<Poller>('poller'),
  tokens: createToken<Tokens>('tokens'),
  quarantine: createToken<Quarantine>('quarantine'),
  codes: createToken<readonly OperationCode[]>('codes'),
  engine: createToken<Engine>('engine'),
} as const;

/** Every part of a running pipit, each made from those it names: this is the only place where they meet. */
export const composePipeline = (ground: Ground): Container => {
  const { config, storage, instances, logger, observer, stopping, sandbox, redactor, hookUrlOf } = ground;
  const { records, logs, files, folder } = storage;
  const container = createContainer();

  container.provide(parts.sources, () =>
    createGitSources({
      folder: folder.sources,
      parseYaml: createStrangersYamlParser(),
      treeLimits: { bytes: config.sandbox.limits.disk, files: config.sandbox.limits.files },
      accessFor: async (repository, signal) => {
        const trigger = matchPipeline(config, repository.name)?.trigger.use;
        const access = trigger === undefined ? undefined : instances.get(trigger)?.trigger;
        return access?.access?.(repository, createCall(logger, signal, ACCESS_DEADLINE_MS));
      },
    }),
  );
  container.provide(parts.effects, (made) =>
    createEffects({
      records,
      instances,
      sources: made.get(parts.sources),
      files,
      sandbox,
      redactor,
      logger,
      folder: folder.work,
      maxFileBytes: config.maxFileBytes,
      hookUrlOf,
      stopping,
    }),
  );
  container.provide(parts.catalog, (made) => createCatalog(config, instances, made.get(parts.sources)));
  container.provide(parts.hints, () => createHints());
  container.provide(parts.changes, () => createChangeFeed());
  container.provide(parts.tokens, () => createTokens({ records, clock: systemClock, logger }));
  container.provide(parts.quarantine, (made) => createQuarantine({ records, catalog: made.get(parts.catalog), logger, signal: stopping }));
  container.provide(parts.engine, (made) => startWhenNeeded(storage.engine, () => made.get(parts.codes)));
  container.provide(parts.conductor, (made) =>
    createConductor({
      records,
      engine: made.get(parts.engine),
      catalog: made.get(parts.catalog),
      sources: made.get(parts.sources),
      effects: made.get(parts.effects),
      clock: systemClock,
      hints: made.get(parts.hints),
      logger,
      observer,
      random: Math.random,
      onChange: (runId) => made.get(parts.changes).publish(runId),
    }),
  );
  container.provide(parts.intake, (made) =>
    createIntake({
      records,
      clock: systemClock,
      ids: createIdSource(systemClock),
      onAccepted: (lane) => made.get(parts.conductor).wakeLane(lane),
    }),
  );
  container.provide(parts.poller, (made) => createPoller({ instances, records, intake: made.get(parts.intake), logger, redactor }));
  container.provide(parts.codes, (made) =>
    createOperationCodes({
      records,
      logs,
      sources: made.get(parts.sources),
      effects: made.get(parts.effects),
      catalog: made.get(parts.catalog),
      clock: systemClock,
      hints: made.get(parts.hints),
      logger,
      random: Math.random,
      observer: {
        ...observer,
        onStep: (point) => {
          observer.onStep?.(point);
          made.get(parts.changes).publish(point.operationId.split(':')[0] ?? '');
        },
      },
      stopping,
      onOperationEnded: (runId) => made.get(parts.conductor).wakeRun(runId as Parameters<Conductor['wakeRun']>[0]), // the run's own id, from its operation
    }),
  );
  return container;
};
