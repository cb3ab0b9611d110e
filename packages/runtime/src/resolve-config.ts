import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BeforePlugin, type Config, type ConfigProblem, createPluginLoader, formatProblems, loadConfig } from '@pipit/config';
import { isSecret, PluginError } from '@pipit/core';
import type { Redactor } from '@pipit/plugin-kit';
import type { RuntimeConfig } from './runtime-config.js';

/** Bad config: every problem, each with its place. */
export class ConfigError extends PluginError {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super({
      code: 'CONFIG_INVALID',
      message: `The config has ${problems.length} problem${problems.length === 1 ? '' : 's'}:\n${formatProblems(problems)}`,
      hint: 'Mend them; `pipit check` shows them again.',
      recovery: 'stop',
    });
    this.problems = problems;
  }
}

export interface ConfigOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly redactor: Redactor;
  /** Where plugins are looked for after the config file's folder. Default: where this package is installed. */
  readonly pluginFolder?: string;
  /** Awaited before a plugin's code runs that is not of the installation. */
  readonly beforePlugin?: BeforePlugin;
  /** Told of every file that the config is read from: itself, and those that `$file` names. */
  readonly onFile?: (path: string) => void;
}

const readerFor =
  ({ onFile }: ConfigOptions) =>
  (path: string): Promise<string> => {
    onFile?.(resolve(path));
    return readFile(path, 'utf8');
  };

const ownFolder = (): string => dirname(fileURLToPath(import.meta.url));

export const readConfigFile = async (file: string, options: ConfigOptions) => {
  const { environment, redactor, pluginFolder, beforePlugin } = options;
  return loadConfig({
    file: resolve(file),
    environment,
    readFile: readerFor(options),
    loadPlugin: createPluginLoader({
      installationFolder: pluginFolder ?? ownFolder(),
      ...(beforePlugin === undefined ? {} : { beforePlugin }),
    }),
    redact: (text) => redactor.register(text),
    reveal: (text) => redactor.release(text),
  });
};

/** A library user's config takes the same way as a file: secrets become references, plugins given as objects are found by name. */
const readConfigObject = async (config: RuntimeConfig, options: ConfigOptions) => {
  const { environment, redactor } = options;
  const secrets: Record<string, string> = {};
  const hidden = (_key: string, value: unknown): unknown => {
    if (!isSecret(value)) return value;
    const name = `PIPIT_GIVEN_SECRET_${Object.keys(secrets).length + 1}`;
    secrets[name] = value.reveal();
    return { $env: name };
  };
  // JSON.stringify would ask a secret's own toJSON first, so secrets are replaced in a walk of our own.
  const walk = (key: string, value: unknown): unknown => {
    const replaced = hidden(key, value);
    if (Array.isArray(replaced)) return replaced.map((each, index) => walk(String(index), each));
    if (typeof replaced === 'object' && replaced !== null)
      return Object.fromEntries(Object.entries(replaced).map(([name, each]) => [name, walk(name, each)]));
    return replaced;
  };
  const plugins = Object.fromEntries(
    Object.entries(config.plugins).map(([name, { with: given }]) => [
      name,
      { uses: `given:${name}`, ...(given === undefined ? {} : { with: given }) },
    ]),
  );
  const text = JSON.stringify(walk('', { ...config, plugins }), null, 2);
  return loadConfig({
    file: resolve('pipit.config.json'),
    text,
    environment: { ...environment, ...secrets },
    readFile: readerFor(options),
    loadPlugin: async (uses) => {
      const given = config.plugins[uses.replace(/^given:/, '')];
      if (given !== undefined) return given.plugin;
      throw new PluginError({
        code: 'PLUGIN_NOT_GIVEN',
        message: `No plugin ${uses} was given`,
        hint: 'Put it into `plugins`.',
        recovery: 'stop',
      });
    },
    redact: (secret) => redactor.register(secret),
    reveal: (text) => redactor.release(text),
  });
};

/** The validated config of a file or an object; throws {@link ConfigError} with every problem. */
export const resolveConfig = async (
  given: { readonly configFile: string } | { readonly config: RuntimeConfig },
  options: ConfigOptions,
): Promise<{ readonly config: Config; readonly warnings: readonly ConfigProblem[] }> => {
  const result = 'configFile' in given ? await readConfigFile(given.configFile, options) : await readConfigObject(given.config, options);
  if (!result.ok) throw new ConfigError(result.problems);
  return result;
};
