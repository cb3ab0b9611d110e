import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type LoadConfigResult, loadConfig } from '@pipit/config';
import { PluginError } from '@pipit/core';
import { parse } from 'yaml';
import type { Session } from './session.js';
import { announcePlugin, requireOwn } from './trust.js';

/** Where the config is looked for unless `--config` or PIPIT_CONFIG says otherwise. */
export const DEFAULT_CONFIG_FILE = 'pipit.config.yaml';

export const locateConfig = ({ world, options }: Pick<Session, 'world' | 'options'>): string =>
  resolve(world.folder, options.config ?? world.environment.PIPIT_CONFIG ?? DEFAULT_CONFIG_FILE);

/** The same, of a file whose code may run: throws `CLI_STRANGERS_FILE` where it may not. */
export const locateTrustedConfig = async (session: Pick<Session, 'world' | 'options'>): Promise<string> => {
  const file = locateConfig(session);
  await requireOwn(session, file);
  return file;
};

const notFound = (file: string, cause: unknown): PluginError =>
  new PluginError({
    code: 'CLI_CONFIG_NOT_FOUND',
    message: `The config file ${file} cannot be read`,
    hint: 'Write one with `pipit init`, or name yours with --config FILE.',
    recovery: 'stop',
    cause,
  });

const readConfigText = async (file: string): Promise<string> => {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw notFound(file, error);
  }
};

/** The text at the key `dataFolder`, without a look at anything else: a command that only asks a server needs no plugin and no secret. */
const peekDataFolder = (text: string): string | undefined => {
  try {
    const config: unknown = parse(text, { logLevel: 'silent' });
    return typeof config === 'object' && config !== null && 'dataFolder' in config && typeof config.dataFolder === 'string'
      ? config.dataFolder
      : undefined;
  } catch {
    return undefined; // what is wrong with the file is said by whoever reads all of it
  }
};

/** Where pipit keeps its data: `--data`, else PIPIT_DATA, else the config's `dataFolder`, else the runtime's default. Absolute. */
export const locateDataFolder = async (session: Pick<Session, 'world' | 'options'>): Promise<string> => {
  const { world, options } = session;
  const given = options.data ?? world.environment.PIPIT_DATA;
  if (given !== undefined) return resolve(world.folder, given);
  const file = locateConfig(session);
  const named = peekDataFolder(await readConfigText(file));
  return named === undefined ? world.backend.defaultDataFolder(world.environment) : resolve(dirname(file), named);
};

/** Reads and checks the config file, whole. From here on the logs are without its secrets. */
export const readConfig = async (session: Session): Promise<LoadConfigResult> => {
  const file = await locateTrustedConfig(session);
  return loadConfig({
    file,
    text: await readConfigText(file),
    environment: session.world.environment,
    readFile: (path) => readFile(path, 'utf8'),
    loadPlugin: session.world.backend.loadPlugin(announcePlugin(session)),
    redact: session.hide,
  });
};
