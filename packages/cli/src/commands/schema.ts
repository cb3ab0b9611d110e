import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { configJsonSchema, type JsonSchema } from '@pipit/config';
import { type AnyPlugin, isPluginError } from '@pipit/core';
import type { Command } from 'commander';
import { parse } from 'yaml';
import { addExamples, type Launch } from '../command-line.js';
import { locateConfig } from '../config-file.js';
import type { Session } from '../session.js';
import { announcePlugin, requireOwn } from '../trust.js';

/** What every installation has. */
const DEFAULT_PLUGIN = '@pipit/plugin-local';

/** The packages that a config names, by instance. The file may be unfinished: that is when completion is wanted most. */
const namedPlugins = (text: string): ReadonlyMap<string, string> => {
  const named = new Map<string, string>();
  try {
    const config: unknown = parse(text, { logLevel: 'silent' });
    const plugins = typeof config === 'object' && config !== null && 'plugins' in config ? config.plugins : undefined;
    if (typeof plugins === 'object' && plugins !== null)
      for (const [name, plugin] of Object.entries(plugins as Record<string, unknown>)) // Object.entries forgets that keys are texts
        if (typeof plugin === 'object' && plugin !== null && 'uses' in plugin && typeof plugin.uses === 'string')
          named.set(name, plugin.uses);
  } catch {
    // A file that is no YAML yet names no plugin.
  }
  return named;
};

/** The JSON Schema for the config file, with the schemas of the plugins that it names and that are installed. */
export const buildSchema = async (session: Session, configFile = locateConfig(session)): Promise<JsonSchema> => {
  await requireOwn(session, configFile);
  const text = await readFile(configFile, 'utf8').catch(() => '');
  const loadPlugin = session.world.backend.loadPlugin(announcePlugin(session));
  const plugins: Record<string, AnyPlugin> = {};
  for (const [name, uses] of [[DEFAULT_PLUGIN, DEFAULT_PLUGIN] as const, ...namedPlugins(text)]) {
    try {
      plugins[name] = await loadPlugin(uses, dirname(configFile));
    } catch (error) {
      if (!isPluginError(error) || error.code === 'CLI_STRANGERS_FILE') throw error;
      session.note(`${session.paint.yellow('warning')}: the schema is without ${uses}: ${error.message}`);
    }
  }
  return configJsonSchema(plugins);
};

export const addSchemaCommand = (program: Command, launch: Launch): void => {
  const command = program
    .command('schema')
    .description('print the JSON Schema of the config file, the schemas of its plugins included, for completion in an editor');
  addExamples(command, [
    { run: 'pipit schema > pipit.schema.json', what: 'then begin the config with: # yaml-language-server: $schema=./pipit.schema.json' },
  ]);
  launch(command, async (session) => {
    session.print(JSON.stringify(await buildSchema(session), null, 2));
    return undefined;
  });
};
