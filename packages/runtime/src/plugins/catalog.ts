import {
  type Config,
  compileRule,
  matchPipeline,
  type PipelineConfig,
  type PlacedSlot,
  type Rule,
  ruleEventOf,
  takesRef,
} from '@pipit/config';
import type { AppName, Kind, Kinds } from '@pipit/core';
import type { Part, PipelineCatalog, PipelineDefinition, RingPolicy } from '@pipit/pipeline';
import type { GitSources } from '../sources/git-sources.js';
import type { Instances } from './instances.js';

const ringsOf = (pipeline: PipelineConfig): readonly RingPolicy[] =>
  pipeline.rings.map(({ name, bakeMs, minHealthy, promotion, onFailure }) => ({
    name,
    bakeMs,
    minHealthy: minHealthy ?? null,
    promotion,
    onFailure,
  }));

const overridesOf = (pipeline: PipelineConfig, app: AppName) => (Object.hasOwn(pipeline.apps, app) ? pipeline.apps[app] : undefined);

const defineFrom = (pipeline: PipelineConfig, instances: Instances): PipelineDefinition => {
  const part = <K extends Kind>(kind: K, slot: PlacedSlot): Part<Kinds<unknown>[K]> => ({
    instance: slot.use,
    subject: instances.kindOf(slot.use, kind),
    options: slot.options,
    ...(pipeline.transport === undefined ? {} : { transport: pipeline.transport.use }),
    ...(slot.on === undefined
      ? {}
      : { on: 'host' in slot.on ? slot.on : { ...slot.on, discovery: part('discovery', pipeline.discovery) } }),
  });
  return {
    name: pipeline.name,
    rings: ringsOf(pipeline),
    patienceMs: pipeline.patienceMs,
    ci: part('ci', pipeline.ci),
    packager: part('packager', pipeline.packager),
    repository: part('repository', pipeline.repository),
    discovery: part('discovery', pipeline.discovery),
    advertiser: part('advertiser', pipeline.advertiser),
    deployer: part('deployer', pipeline.deployer),
    notifiers: pipeline.notify.map((slot) => part('notifier', slot)),
    roleOf: (app, repositoryRole) => overridesOf(pipeline, app)?.role ?? repositoryRole ?? pipeline.role,
    healthOf: (app) => overridesOf(pipeline, app)?.health ?? pipeline.health,
    mayTakeOver: (app) => overridesOf(pipeline, app)?.takeOver === true,
  };
};

/** Today's config as the pipeline sees it. */
export const createCatalog = (config: Config, instances: Instances, sources: Pick<GitSources, 'readChangedPaths'>): PipelineCatalog => {
  const definitions = new Map<string, PipelineDefinition>();
  const rules = new Map<string, Rule>();
  for (const pipeline of Object.values(config.pipelines)) {
    definitions.set(pipeline.name, defineFrom(pipeline, instances));
    rules.set(pipeline.name, compileRule(pipeline.trigger));
  }
  const takes = (pipeline: PipelineConfig, repositoryName: string, ref: string): boolean =>
    matchPipeline(config, repositoryName, pipeline.trigger.use) === pipeline && takesRef(pipeline.trigger, ref);
  return {
    of: ({ pipeline, repositoryName, ref }) => {
      const named = definitions.get(pipeline);
      if (named !== undefined) return named;
      const now = Object.values(config.pipelines).find((each) => takes(each, repositoryName, ref));
      return now && definitions.get(now.name);
    },
    takes: (name, repositoryName, ref) => {
      const pipeline = Object.values(config.pipelines).find((each) => each.name === name);
      return pipeline !== undefined && takes(pipeline, repositoryName, ref);
    },
    match: async (change, signal) => {
      const { instance, repository, ref, sha, before, author } = change;
      const pipeline = matchPipeline(config, repository.name, instance);
      const definition = pipeline && definitions.get(pipeline.name);
      const rule = pipeline && rules.get(pipeline.name);
      if (pipeline === undefined || definition === undefined || rule === undefined)
        return { reason: `No pipeline lists repository ${repository.name} for ${instance}` };
      const event = ruleEventOf({
        key: '',
        repository,
        ref,
        sha,
        ...(before === undefined ? {} : { before }),
        ...(author === undefined ? {} : { author }),
      });
      const changedPaths = () => sources.readChangedPaths(repository, { ref, sha, before }, signal);
      const result = await rule({ event, changedPaths });
      return result.matches ? { pipeline: definition } : { reason: `Pipeline ${pipeline.name} does not want it: ${result.reason}` };
    },
  };
};
