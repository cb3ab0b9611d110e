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

/**
 * Awaited before code runs that is not of pipit's own installation: `file` is what the name `uses` of the config leads to. A throw keeps it from running.
 */
export type BeforePlugin = (plugin: { readonly uses: string; readonly file: string }) => Promise<void>;

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

interface ProgramPlace {
  readonly fromFolder: string;
  readonly folders: readonly string[];
  readonly beforeFile: (name: string, file: string) => Promise<void>;
}

const loadProgram = async (uses: string, { fromFolder, folders, beforeFile }: ProgramPlace): Promise<AnyPlugin> => {
  const path = resolve(fromFolder, uses.slice(PROGRAM_PREFIX.length));
  // A program is always of the config's own folder: a path is never the installation's.
  await beforeFile('./', path);
  const maker = locatePlugin(PROGRAM_PLUGIN, folders);
  await beforeFile(PROGRAM_PLUGIN, maker);
  const module = await importModule(maker, PROGRAM_PLUGIN);
  if (!isMapping(module) || typeof module.createProgramPlugin !== 'function')
    throw exportMissing(PROGRAM_PLUGIN, 'createProgramPlugin', `Update it: npm install ${PROGRAM_PLUGIN}@latest`);
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
  ({ installationFolder, beforePlugin }: { readonly installationFolder: string; readonly beforePlugin?: BeforePlugin }): LoadPlugin =>
  async (uses, fromFolder) => {
    const beforeFile = async (name: string, file: string): Promise<void> => {
      const own = isPath(name) ? undefined : resolveFrom(installationFolder, name);
      if (own === undefined || !('file' in own) || own.file !== file) await beforePlugin?.({ uses, file });
    };
    if (uses.startsWith(PROGRAM_PREFIX)) return loadProgram(uses, { fromFolder, folders: [fromFolder, installationFolder], beforeFile });
    const file = locatePlugin(uses, isPath(uses) ? [fromFolder] : [fromFolder, installationFolder]);
    await beforeFile(uses, file);
    const module = await importModule(file, uses);
    if (!isMapping(module) || module.plugin === undefined)
      throw exportMissing(uses, 'plugin', "A plugin's module says `export const plugin = definePlugin({ ... })`.");
    return parsePlugin(module.plugin, uses);
  };
