import { type AnyPlugin, isPluginError } from '@pipit/core';
import { closestName } from './closest-name.js';
import { type ConfigPath, pathKey } from './config-path.js';
import { NAME_PATTERN, SLOT_KINDS, type SlotKind } from './core-schema.js';
import type { LoadPlugin } from './plugin-loader.js';
import type { ProblemReport } from './problem-report.js';
import { isMapping } from './schema-shape.js';
import type { SourceTree } from './source-tree.js';

/** A slot as it is written, before anything is known to be right. */
export interface WrittenSlot {
  readonly pipeline: string;
  readonly kind: SlotKind;
  readonly use: string;
  /** Undefined: nothing was written. */
  readonly options: unknown;
  readonly path: ConfigPath;
  readonly usePath: ConfigPath;
  /** Whether it says `on`. */
  readonly isPlaced: boolean;
}

/** An instance as it is written, or as a slot names it without declaring it. */
export interface WrittenInstance {
  readonly name: string;
  readonly uses: string;
  readonly config: unknown;
  readonly path: ConfigPath;
  /** Where a plugin that cannot be loaded is reported. */
  readonly usesPath: ConfigPath;
  readonly isDeclared: boolean;
}

export interface LoadedInstance extends WrittenInstance {
  readonly plugin: AnyPlugin;
}

const SHORT_NAME_PREFIX = '@pipit/plugin-';

/** Every slot that is a name or has one. */
export const readSlots = (root: unknown): readonly WrittenSlot[] => {
  const pipelines = isMapping(root) && isMapping(root.pipelines) ? root.pipelines : {};
  return Object.entries(pipelines).flatMap(([pipeline, written]) => {
    if (!isMapping(written)) return [];
    const places = [
      ...SLOT_KINDS.map((kind) => ({ kind, path: ['pipelines', pipeline, kind] as ConfigPath, slot: written[kind] })),
      ...(Array.isArray(written.notify) ? written.notify : []).map((slot: unknown, index) => ({
        kind: 'notifier' as const,
        path: ['pipelines', pipeline, 'notify', index] as ConfigPath,
        slot,
      })),
    ];
    return places.flatMap(({ kind, path, slot }): readonly WrittenSlot[] => {
      if (typeof slot === 'string') return [{ pipeline, kind, use: slot, options: undefined, path, usePath: path, isPlaced: false }];
      if (!isMapping(slot) || typeof slot.use !== 'string') return [];
      return [{ pipeline, kind, use: slot.use, options: slot.with, path, usePath: [...path, 'use'], isPlaced: slot.on !== undefined }];
    });
  });
};

/** Declared instances first, then one for each undeclared name that a slot uses: `@pipit/plugin-<name>` with an empty config. */
export const readInstances = (root: unknown, slots: readonly WrittenSlot[], tree: SourceTree): readonly WrittenInstance[] => {
  const isKnown = (path: ConfigPath): boolean => tree.entries.get(pathKey(path))?.origin !== 'unresolved';
  const plugins = isMapping(root) && isMapping(root.plugins) ? root.plugins : {};
  const instances: WrittenInstance[] = [];
  for (const [name, written] of Object.entries(plugins)) {
    const path = ['plugins', name];
    if (!isMapping(written) || typeof written.uses !== 'string' || written.uses === '' || !isKnown([...path, 'uses'])) continue;
    instances.push({ name, uses: written.uses, config: written.with ?? {}, path, usesPath: [...path, 'uses'], isDeclared: true });
  }
  for (const { use, usePath } of slots) {
    if (Object.hasOwn(plugins, use) || instances.some((instance) => instance.name === use)) continue;
    // A name that cannot be one is the core schema's to report.
    if (!NAME_PATTERN.test(use) || !isKnown(usePath)) continue;
    instances.push({ name: use, uses: `${SHORT_NAME_PREFIX}${use}`, config: {}, path: usePath, usesPath: usePath, isDeclared: false });
  }
  return instances;
};

export interface LoadOptions {
  readonly instances: readonly WrittenInstance[];
  readonly folder: string;
  readonly loadPlugin: LoadPlugin;
  readonly report: ProblemReport;
}

const describeFailure = (instance: WrittenInstance, error: unknown, declared: readonly string[]) => {
  const meant = instance.isDeclared ? undefined : closestName(instance.name, declared);
  const known = isPluginError(error)
    ? { code: error.code, message: error.message, hint: error.hint }
    : {
        code: 'PLUGIN_LOAD_FAILED',
        message: `Plugin ${JSON.stringify(instance.uses)} failed while it was loaded: ${error instanceof Error ? error.message : String(error)}`,
        hint: undefined,
      };
  const hints = [
    ...(meant === undefined ? [] : [`Did you mean the instance ${JSON.stringify(meant)}?`]),
    ...(known.hint === undefined ? [] : [known.hint]),
  ];
  return { ...known, hint: hints.length === 0 ? undefined : hints.join(' ') };
};

/** Loads each plugin once; one that cannot be loaded is a problem at each instance that uses it. */
export const loadInstances = async ({ instances, folder, loadPlugin, report }: LoadOptions): Promise<readonly LoadedInstance[]> => {
  const attempts = new Map<string, Promise<AnyPlugin>>();
  const load = (uses: string): Promise<AnyPlugin> => {
    const attempt = attempts.get(uses) ?? (async () => loadPlugin(uses, folder))();
    attempts.set(uses, attempt);
    return attempt;
  };
  const outcomes = await Promise.allSettled(instances.map((instance) => load(instance.uses)));
  const declared = instances.filter((instance) => instance.isDeclared).map((instance) => instance.name);
  return instances.flatMap((instance, index) => {
    const outcome = outcomes[index];
    if (outcome?.status === 'fulfilled') return [{ ...instance, plugin: outcome.value }];
    report.add(instance.usesPath, describeFailure(instance, outcome?.reason, declared));
    return [];
  });
};
