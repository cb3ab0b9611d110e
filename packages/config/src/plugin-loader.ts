import { createRequire } from 'node:module';
import { isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type AnyPlugin, PluginError } from '@pipit/core';
import { parsePlugin } from './plugin-shape.js';
import { systemCode } from './resolve-references.js';
import { isMapping } from './schema-shape.js';

/** Gives the plugin that `uses` names, looked for from a folder on. Throws a PluginError. */
export type LoadPlugin = (uses: string, fromFolder: string) => Promise<AnyPlugin>;

const isPath = (uses: string): boolean => /^(?:\.{1,2})?\//.test(uses);

type Resolution = { readonly file: string } | { readonly failure: unknown };

const resolveFrom = (folder: string, uses: string): Resolution => {
  try {
    // The file need not exist: it only says from where to look. `require` takes the `default` of a package's exports.
    return { file: createRequire(join(resolve(folder), 'pipit.config.cjs')).resolve(uses) };
  } catch (failure) {
    return { failure };
  }
};

const locatePlugin = (uses: string, folders: readonly string[]): string => {
  for (const folder of folders) {
    const resolution = resolveFrom(folder, uses);
    if ('file' in resolution) return resolution.file;
    // Only a module that is nowhere has a stack of requirers; a package whose file is missing (not built) has none.
    if (systemCode(resolution.failure) === 'MODULE_NOT_FOUND' && isMapping(resolution.failure) && 'requireStack' in resolution.failure)
      continue;
    throw new PluginError({
      code: 'PLUGIN_NOT_RESOLVABLE',
      message: `Plugin ${JSON.stringify(uses)} is installed for ${folder}, but names no file to load (${systemCode(resolution.failure)})`,
      hint: 'The "exports" of its package.json need the condition "default", and the file must have been built.',
      recovery: 'stop',
      cause: resolution.failure,
    });
  }
  throw new PluginError({
    code: 'PLUGIN_NOT_FOUND',
    message: `Plugin ${JSON.stringify(uses)} was not found from ${folders.join(', nor from ')}`,
    hint: isPath(uses) ? "A relative path starts at the config file's folder." : `Install it: npm install ${uses}`,
    recovery: 'stop',
  });
};

/** A program as a plugin: `exec:` and its path. */
const PROGRAM_PREFIX = 'exec:';

/** What makes plugins of programs; found as any plugin is. */
const PROGRAM_PLUGIN = '@pipit/plugin-exec';

const importModule = async (file: string, uses: string): Promise<unknown> => {
  try {
    // A built-in module of Node resolves to its bare name.
    return await import(/* @vite-ignore */ isAbsolute(file) ? pathToFileURL(file).href : file);
  } catch (cause) {
    throw new PluginError({
      code: 'PLUGIN_LOAD_FAILED',
      message: `Plugin ${JSON.stringify(uses)} failed while it was loaded: ${cause instanceof Error ? cause.message : String(cause)}`,
      hint: `Its file is ${file}.`,
      recovery: 'stop',
      cause,
    });
  }
};

const exportMissing = (uses: string, name: string, hint: string): PluginError =>
  new PluginError({
    code: 'PLUGIN_EXPORT_MISSING',
    message: `${JSON.stringify(uses)} has no export named "${name}"`,
    hint,
    recovery: 'stop',
  });

const loadProgram = async (uses: string, fromFolder: string, folders: readonly string[]): Promise<AnyPlugin> => {
  const module = await importModule(locatePlugin(PROGRAM_PLUGIN, folders), PROGRAM_PLUGIN);
  if (!isMapping(module) || typeof module.createProgramPlugin !== 'function')
    throw exportMissing(PROGRAM_PLUGIN, 'createProgramPlugin', `Update it: npm install ${PROGRAM_PLUGIN}@latest`);
  const path = resolve(fromFolder, uses.slice(PROGRAM_PREFIX.length));
  return parsePlugin(await module.createProgramPlugin(path), uses);
};

/**
 * Loads plugins by name: from the config file's folder, then from pipit's own installation. A path (`./my-plugin.js`) is looked for
 * in the config file's folder only. The module's export named `plugin` is taken, and looked at by {@link parsePlugin}. `exec:./my-ci` names a
 * program, from that folder too, which `@pipit/plugin-exec` makes a plugin.
 *
 * @throws PluginError (stop) `PLUGIN_NOT_FOUND`, `PLUGIN_NOT_RESOLVABLE`, `PLUGIN_LOAD_FAILED`, `PLUGIN_EXPORT_MISSING`,
 * `PLUGIN_MALFORMED`, `PLUGIN_KIND_VERSION`
 */
export const createPluginLoader =
  ({ installationFolder }: { readonly installationFolder: string }): LoadPlugin =>
  async (uses, fromFolder) => {
    if (uses.startsWith(PROGRAM_PREFIX)) return loadProgram(uses, fromFolder, [fromFolder, installationFolder]);
    const file = locatePlugin(uses, isPath(uses) ? [fromFolder] : [fromFolder, installationFolder]);
    const module = await importModule(file, uses);
    if (!isMapping(module) || module.plugin === undefined)
      throw exportMissing(uses, 'plugin', "A plugin's module says `export const plugin = definePlugin({ ... })`.");
    return parsePlugin(module.plugin, uses);
  };
