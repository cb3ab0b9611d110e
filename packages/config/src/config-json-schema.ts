import type { AnyPlugin, Provides, Schema } from '@pipit/core';
import { coreConfigSchema, SLOT_KINDS, type SlotKind } from './core-schema.js';
import { acceptReferences, REFERENCE_SCHEMA, rebaseReferences } from './embed-schema.js';
import { describeSchema, isMapping, type JsonSchema } from './schema-shape.js';

const SHORT_NAME_PREFIX = '@pipit/plugin-';

interface Named {
  /** What a slot may call it. */
  readonly names: readonly string[];
  /** What `uses:` may say. */
  readonly uses: readonly string[];
  readonly plugin: AnyPlugin;
}

const child = (schema: JsonSchema, ...keys: readonly string[]): JsonSchema =>
  keys.reduce<JsonSchema>((node, key) => {
    const next = node[key];
    if (!isMapping(next)) throw new TypeError(`The core schema has no ${keys.join('.')}`);
    return next;
  }, schema);

const nameOf = (key: string, plugin: AnyPlugin): Named => {
  const packages = [...new Set([key, plugin.name])];
  const short = packages.filter((name) => name.startsWith(SHORT_NAME_PREFIX)).map((name) => name.slice(SHORT_NAME_PREFIX.length));
  const isPackage = key.startsWith('@') || key.includes('/');
  return { names: [...new Set([...(isPackage ? [] : [key]), ...short])], uses: packages, plugin };
};

/** Adds a plugin's schema to the definitions, and gives what refers to it. */
const define = (definitions: Record<string, JsonSchema>, name: string, schema: Schema<unknown>): JsonSchema => {
  const described = describeSchema(schema);
  definitions[name] =
    described === undefined ? { description: 'The plugin cannot describe this.' } : acceptReferences(rebaseReferences(described, name));
  return { $ref: `#/$defs/${name}` };
};

const when = (key: string, values: readonly string[], properties: JsonSchema): JsonSchema => ({
  if: { properties: { [key]: { enum: values } }, required: [key] },
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  then: { properties },
});

const slotSchema = (
  written: JsonSchema,
  kind: SlotKind,
  plugins: readonly Named[],
  definitions: Record<string, JsonSchema>,
): JsonSchema => {
  const providers = plugins.filter(({ plugin }) => Object.hasOwn(plugin.provides, kind));
  const names = [...new Set(providers.flatMap((provider) => provider.names))];
  const conditions = providers
    .filter((provider) => provider.names.length > 0)
    .map((provider) => {
      const { options } = (provider.plugin.provides as Provides)[kind] ?? {}; // AnyPlugin forgets the type
      const known =
        options === undefined ? { type: 'object', maxProperties: 0 } : define(definitions, `${kind}-options-${provider.names[0]}`, options);
      return when('use', provider.names, { with: known });
    });
  const [text, object] = Array.isArray(written.anyOf) ? written.anyOf.filter(isMapping) : [];
  if (text === undefined || object === undefined) throw new TypeError(`The core schema has no slot ${kind}`);
  const suggested = names.length === 0 ? text : { anyOf: [{ enum: names }, text] };
  return {
    ...written,
    anyOf: [
      suggested,
      {
        ...object,
        properties: { ...child(object, 'properties'), use: suggested },
        ...(conditions.length === 0 ? {} : { allOf: conditions }),
      },
    ],
  };
};

/**
 * The JSON Schema (draft 2020-12) of the whole config file, for completion in editors: pipit's own part, and under each `with` the
 * schema of the plugin or of its kind. Every text may also be `{ $env }` or `{ $file }`.
 *
 * @param plugins by instance name, or by what `uses` says
 */
export const configJsonSchema = (plugins: Readonly<Record<string, AnyPlugin>>): JsonSchema => {
  const named = Object.entries(plugins).map(([key, plugin]) => nameOf(key, plugin));
  const core = acceptReferences(describeSchema(coreConfigSchema) ?? {});
  const definitions: Record<string, JsonSchema> = { reference: REFERENCE_SCHEMA };
  const properties = child(core, 'properties');

  const instance = child(properties, 'plugins', 'additionalProperties');
  const uses = [...new Set(named.flatMap((plugin) => plugin.uses.filter((name) => name.includes('/'))))];
  const configs = named.map((plugin, index) =>
    when('uses', plugin.uses, { with: define(definitions, `config-${index + 1}`, plugin.plugin.config) }),
  );
  const instanceSchema: JsonSchema = {
    ...instance,
    properties: {
      ...child(instance, 'properties'),
      ...(uses.length === 0 ? {} : { uses: { ...child(instance, 'properties', 'uses'), examples: uses } }),
    },
    ...(configs.length === 0 ? {} : { allOf: configs }),
  };

  const pipeline = child(properties, 'pipelines', 'additionalProperties');
  const slots = SLOT_KINDS.map((kind) => [kind, slotSchema(child(pipeline, 'properties', kind), kind, named, definitions)] as const);
  const notify = child(pipeline, 'properties', 'notify');
  const pipelineSchema: JsonSchema = {
    ...pipeline,
    properties: {
      ...child(pipeline, 'properties'),
      ...Object.fromEntries(slots),
      notify: { ...notify, items: slotSchema(child(notify, 'items'), 'notifier', named, definitions) },
    },
  };
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'pipit config',
    ...core,
    properties: {
      ...properties,
      plugins: { ...child(properties, 'plugins'), additionalProperties: instanceSchema },
      pipelines: { ...child(properties, 'pipelines'), additionalProperties: pipelineSchema },
    },
    $defs: definitions,
  };
};
