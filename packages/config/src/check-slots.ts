import type { Kind, Provides, Schema } from '@pipit/core';
import type { SlotKind } from './core-schema.js';
import type { LoadedInstance, WrittenSlot } from './instances.js';
import type { ProblemReport } from './problem-report.js';
import { isMapping } from './schema-shape.js';
import type { SourceTree } from './source-tree.js';
import { validateSection } from './validate-section.js';

export interface CheckedSlot extends WrittenSlot {
  /** What the kind's schema made of the options. */
  readonly output: unknown;
}

export interface SlotContext {
  readonly instances: readonly LoadedInstance[];
  readonly tree: SourceTree;
  readonly report: ProblemReport;
}

const providesOf = (instance: LoadedInstance): Provides => instance.plugin.provides as Provides; // AnyPlugin forgets the type

const kindsOf = (instance: LoadedInstance): readonly string[] => Object.keys(providesOf(instance));

const providersOf = (kind: Kind, instances: readonly LoadedInstance[]): readonly string[] =>
  instances.filter((instance) => kindsOf(instance).includes(kind)).map((instance) => instance.name);

const optionsSchema = (instance: LoadedInstance, kind: SlotKind): Schema<unknown> | undefined => providesOf(instance)[kind]?.options;

const reportMissingKind = (slot: WrittenSlot, instance: LoadedInstance, { instances, report }: SlotContext): void => {
  const others = providersOf(slot.kind, instances);
  report.add(slot.usePath, {
    code: 'SLOT_KIND_MISSING',
    message: `Instance ${JSON.stringify(slot.use)} is no ${slot.kind}; it provides ${kindsOf(instance).join(', ')}`,
    expected: `an instance that provides ${slot.kind}`,
    hint: others.length === 0 ? undefined : `These do: ${others.join(', ')}.`,
  });
};

/** Checks that the slot's instance provides the kind, and its options; undefined when either fails or the instance could not be loaded. */
export const checkSlot = async (slot: WrittenSlot, context: SlotContext): Promise<CheckedSlot | undefined> => {
  const instance = context.instances.find((candidate) => candidate.name === slot.use);
  if (instance === undefined) return undefined;
  if (!kindsOf(instance).includes(slot.kind)) {
    reportMissingKind(slot, instance, context);
    return undefined;
  }
  const path = [...slot.path, 'with'];
  const schema = optionsSchema(instance, slot.kind);
  if (schema === undefined) {
    for (const key of isMapping(slot.options) ? Object.keys(slot.options) : [])
      context.report.addAtKey([...path, key], {
        code: 'UNKNOWN_KEY',
        message: `Instance ${JSON.stringify(slot.use)} takes no options as ${slot.kind}`,
        hint: 'What the plugin needs stands under `plugins`.',
      });
    return { ...slot, output: {} };
  }
  const result = await validateSection(schema, { path, value: slot.options ?? {}, tree: context.tree, report: context.report });
  return result === undefined ? undefined : { ...slot, output: result.output };
};

/** The advertiser of a pipeline that names none: its discovery instance, with no options of its own. */
export const defaultAdvertiser = async (discovery: WrittenSlot, context: SlotContext): Promise<CheckedSlot | undefined> => {
  const instance = context.instances.find((candidate) => candidate.name === discovery.use);
  // A discovery that is no discovery has been reported.
  if (instance === undefined || !kindsOf(instance).includes('discovery')) return undefined;
  if (!kindsOf(instance).includes('advertiser')) {
    const others = providersOf('advertiser', context.instances);
    context.report.add(discovery.usePath, {
      code: 'ADVERTISER_MISSING',
      message: `Instance ${JSON.stringify(discovery.use)} cannot keep advertised versions, and the pipeline names no advertiser`,
      hint: `Add \`advertiser:\` with an instance that provides it${others.length === 0 ? '' : `: ${others.join(', ')}`}.`,
    });
    return undefined;
  }
  return checkSlot({ ...discovery, kind: 'advertiser', options: undefined, path: [...discovery.path.slice(0, -1), 'advertiser'] }, context);
};

/** The transport of a pipeline that names none: its deployer's instance, else the only one that there is. Needed where a slot says `on`. */
export const defaultTransport = async (slots: readonly WrittenSlot[], context: SlotContext): Promise<CheckedSlot | undefined> => {
  if (slots.some((slot) => slot.kind === 'transport')) return undefined;
  const deployer = slots.find((slot) => slot.kind === 'deployer');
  const providers = providersOf('transport', context.instances);
  const use = providers.find((name) => name === deployer?.use) ?? (providers.length === 1 ? providers[0] : undefined);
  const placed = slots.find((slot) => slot.isPlaced);
  const first = deployer ?? placed;
  if (use !== undefined && first !== undefined)
    return checkSlot({ ...first, kind: 'transport', use, options: undefined, path: [...first.path.slice(0, -1), 'transport'] }, context);
  // What could not be loaded may be the transport; that it could not has been reported.
  const isKnown = slots.every((slot) => context.instances.some((instance) => instance.name === slot.use));
  if (placed !== undefined && isKnown)
    context.report.add([...placed.path, 'on'], {
      code: 'TRANSPORT_MISSING',
      message: `${placed.kind} is to work on another host, and the pipeline has no transport`,
      hint:
        providers.length === 0
          ? 'Add `transport: ssh` to the pipeline, or another instance that provides a transport.'
          : `Add \`transport:\` to the pipeline with one of ${providers.join(', ')}.`,
    });
  return undefined;
};
