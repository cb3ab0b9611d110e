import { type AnyPlugin, KIND_VERSIONS, PluginError } from '@pipit/core';
import { isMapping } from './schema-shape.js';

const isSchema = (value: unknown): boolean => {
  // ArkType's schemas are functions.
  const standard =
    (typeof value === 'object' && value !== null) || typeof value === 'function' ? Reflect.get(value, '~standard') : undefined;
  return (
    isMapping(standard) &&
    typeof standard.validate === 'function' &&
    isMapping(standard.jsonSchema) &&
    typeof standard.jsonSchema.input === 'function'
  );
};

/** What a plugin lacks; undefined when it is one. */
const findFault = (value: unknown): string | undefined => {
  if (!isMapping(value)) return 'it is not an object';
  if (typeof value.name !== 'string' || value.name === '') return 'it has no name';
  if (!isSchema(value.config)) return 'its `config` is not a schema that implements Standard Schema and Standard JSON Schema';
  if (typeof value.setup !== 'function') return 'its `setup` is not a function';
  if (!isMapping(value.provides) || Object.keys(value.provides).length === 0) return 'its `provides` names no kind';
  for (const [kind, provided] of Object.entries(value.provides)) {
    if (!isMapping(provided) || typeof provided.version !== 'number') return `its \`provides.${kind}\` has no version`;
    if (provided.options !== undefined && !isSchema(provided.options)) return `its \`provides.${kind}.options\` is not a schema`;
  }
  return undefined;
};

/**
 * Recognises a plugin by its shape, since it may have been made with another copy of core, and compares its kinds' versions with ours.
 *
 * @throws PluginError `PLUGIN_MALFORMED`, `PLUGIN_KIND_VERSION` (stop)
 */
export const parsePlugin = (value: unknown, uses: string): AnyPlugin => {
  const fault = findFault(value);
  if (fault !== undefined)
    throw new PluginError({
      code: 'PLUGIN_MALFORMED',
      message: `${JSON.stringify(uses)} exports a plugin that pipit cannot use: ${fault}`,
      hint: "Tell the plugin's author, or make it with definePlugin of @pipit/core.",
      recovery: 'stop',
    });
  const plugin = value as AnyPlugin; // the shape was just looked at
  const offered: Readonly<Record<string, number>> = KIND_VERSIONS;
  for (const [kind, provided] of Object.entries<{ readonly version: number }>(plugin.provides)) {
    const offers = Object.hasOwn(offered, kind) ? offered[kind] : undefined;
    if (offers === provided.version) continue;
    const isNewer = offers === undefined || provided.version > offers;
    throw new PluginError({
      code: 'PLUGIN_KIND_VERSION',
      message: `Plugin ${plugin.name} wants version ${provided.version} of kind ${kind}; this pipit offers ${offers === undefined ? 'no such kind' : `version ${offers}`}`,
      hint: isNewer ? 'Use a newer pipit, or an older version of the plugin.' : 'Use a newer version of the plugin, or an older pipit.',
      recovery: 'stop',
    });
  }
  return plugin;
};
