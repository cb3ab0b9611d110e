import { dirname, resolve } from 'node:path';
import type { HealthCheck, Json } from '@pipit/core';
import type { CheckedSlot } from './check-slots.js';
import type {
  AppOverrides,
  Config,
  InstanceConfig,
  MinHealthy,
  PipelineConfig,
  PlacedSlot,
  RingConfig,
  Slot,
  TriggerSlot,
} from './config.js';
import type { ConfigPath } from './config-path.js';
import type { CoreConfig, CorePipeline, NeededSlot } from './core-schema.js';
import { freezeConfig } from './freeze-config.js';
import type { Location } from './problem-report.js';

type CoreRing = CorePipeline['rings'][number];
type CoreHealth = NonNullable<CorePipeline['health']>;

export const buildHealth = ({ within, ...check }: CoreHealth): HealthCheck => ({ ...check, withinMs: within });

const buildMinHealthy = (written: number | string): MinHealthy =>
  typeof written === 'number' ? { hosts: written } : { share: Number(written.slice(0, -1)) / 100 };

const buildRing = (ring: CoreRing, index: number): RingConfig => ({
  name: ring.name,
  bakeMs: ring.bake,
  ...(ring.minHealthy === undefined ? {} : { minHealthy: buildMinHealthy(ring.minHealthy) }),
  promotion: index === 0 ? 'automatic' : (ring.promotion ?? 'manual'),
  onFailure: ring.onFailure,
});

/** Without a prototype: a name such as `constructor` finds nothing that nobody wrote. */
const recordOf = <T>(entries: Iterable<readonly [string, T]>): Readonly<Record<string, T>> => {
  const record: Record<string, T> = Object.create(null);
  for (const [key, value] of entries) record[key] = value;
  return record;
};

const buildApps = (pipeline: CorePipeline): PipelineConfig['apps'] =>
  recordOf(
    Object.entries(pipeline.apps ?? {}).map(([app, overrides]): [string, AppOverrides] => [
      app,
      {
        ...(overrides.role === undefined ? {} : { role: overrides.role }),
        ...(overrides.health === undefined ? {} : { health: buildHealth(overrides.health) }),
        ...(overrides.takeOver === undefined ? {} : { takeOver: overrides.takeOver }),
      },
    ]),
  );

export type SlotsOfPipeline = Readonly<Record<NeededSlot, CheckedSlot>> & {
  readonly transport?: CheckedSlot;
  readonly notify: readonly CheckedSlot[];
};

const buildSlot = ({ use, output }: CheckedSlot): Slot => ({ use, options: output });

const buildPlaced = (slot: CheckedSlot, written: CorePipeline['ci']): PlacedSlot => {
  const on = typeof written === 'string' ? undefined : written.on;
  return { ...buildSlot(slot), ...(on === undefined ? {} : { on }) };
};

const buildTrigger = (slot: CheckedSlot, written: CorePipeline['trigger']): TriggerSlot => {
  const { when, branches, tags, paths } = typeof written === 'string' ? {} : written;
  return {
    ...buildSlot(slot),
    ...(when === undefined ? {} : { when }),
    ...(branches === undefined ? {} : { branches }),
    ...(tags === undefined ? {} : { tags }),
    ...(paths === undefined ? {} : { paths }),
  };
};

const buildPipeline = (name: string, pipeline: CorePipeline, slots: SlotsOfPipeline): PipelineConfig => ({
  name,
  repositories: pipeline.repositories,
  trigger: buildTrigger(slots.trigger, pipeline.trigger),
  ci: buildPlaced(slots.ci, pipeline.ci),
  packager: buildPlaced(slots.packager, pipeline.packager),
  repository: buildPlaced(slots.repository, pipeline.repository),
  discovery: buildSlot(slots.discovery),
  advertiser: buildSlot(slots.advertiser),
  deployer: buildPlaced(slots.deployer, pipeline.deployer),
  ...(slots.transport === undefined ? {} : { transport: buildSlot(slots.transport) }),
  notify: slots.notify.map(buildSlot),
  role: pipeline.role,
  patienceMs: pipeline.patience,
  rings: pipeline.rings.map(buildRing),
  ...(pipeline.health === undefined ? {} : { health: buildHealth(pipeline.health) }),
  apps: buildApps(pipeline),
});

export interface ConfigParts {
  readonly file: string;
  readonly core: CoreConfig;
  readonly instances: Readonly<Record<string, InstanceConfig>>;
  /** By pipeline. */
  readonly slots: ReadonlyMap<string, SlotsOfPipeline>;
  readonly source: Json;
  readonly locate: (path: ConfigPath) => Location;
}

const buildDatabase = ({ url, ownerUrl, giveUpAfter }: CoreConfig['database']): Config['database'] => ({
  ...(url === undefined ? {} : { url }),
  ...(ownerUrl === undefined ? {} : { ownerUrl }),
  giveUpAfterMs: giveUpAfter,
});

/** Puts a frozen {@link Config} together from parts that are all valid. */
export const buildConfig = ({ file, core, instances, slots, source, locate }: ConfigParts): Config => {
  const { publicUrl, ...server } = core.server;
  const config: Config = {
    version: core.version,
    file,
    ...(core.dataFolder === undefined ? {} : { dataFolder: resolve(dirname(file), core.dataFolder) }),
    server: { ...server, ...(publicUrl === undefined ? {} : { publicUrl }) },
    maxFileBytes: core.maxFileSize,
    database: buildDatabase(core.database),
    audit: {
      every: core.audit.every,
      ...(core.audit.key === undefined ? {} : { key: core.audit.key }),
      ...(core.audit.previousKey === undefined ? {} : { previousKey: core.audit.previousKey }),
    },
    sandbox: core.sandbox,
    trustRepositories: core.trustRepositories,
    plugins: recordOf(Object.entries(instances)),
    pipelines: recordOf(
      Object.entries(core.pipelines).flatMap(([name, pipeline]): [string, PipelineConfig][] => {
        const checked = slots.get(name);
        return checked === undefined ? [] : [[name, buildPipeline(name, pipeline, checked)]];
      }),
    ),
    source,
  };
  // Not enumerable: neither belongs to what a config says. A resolved text that is no Secret must not get into JSON either.
  Object.defineProperty(config, 'locate', { value: locate });
  Object.defineProperty(config, 'toJSON', { value: () => source });
  const plugins = new Set<unknown>(Object.values(instances).map((instance) => instance.plugin));
  return freezeConfig(config, (value) => !plugins.has(value));
};
