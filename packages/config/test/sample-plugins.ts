import { type AnyPlugin, createSecret, definePlugin, PluginError } from '@pipit/core';
import * as z from 'zod';
import type { LoadConfigOptions } from '../src/index.js';
import { loadConfig } from '../src/index.js';

// Config never sets a plugin up, so what these would return is never made.
const neverSetUp = (): never => {
  throw new Error('A config test never sets a plugin up');
};

const secret = () => z.string().min(1).transform(createSecret);

export const jenkins = definePlugin({
  name: '@pipit/plugin-jenkins',
  config: z.strictObject({
    url: z.url(),
    token: secret(),
    tls: z.strictObject({ ca: z.string().optional(), key: secret().optional() }).optional(),
  }),
  provides: { ci: { version: 1, options: z.strictObject({ job: z.string(), retries: z.int().default(2) }) } },
  setup: neverSetUp,
});

export const local = definePlugin({
  name: '@pipit/plugin-local',
  config: z.strictObject({ inventory: z.string().optional(), secret: secret().optional() }),
  provides: {
    trigger: { version: 1 },
    ci: { version: 1, options: z.strictObject({ timeout: z.string().optional() }) },
    packager: { version: 1 },
    repository: { version: 1, options: z.strictObject({ suite: z.string().optional() }) },
    discovery: { version: 1 },
    advertiser: { version: 1 },
    deployer: { version: 1 },
  },
  setup: neverSetUp,
});

/** Knows hosts, keeps no advertised versions. */
export const inventory = definePlugin({
  name: '@pipit/plugin-inventory',
  config: z.strictObject({}),
  provides: { discovery: { version: 1 } },
  setup: neverSetUp,
});

/** Reaches hosts, and installs nothing. */
const reach = definePlugin({
  name: '@pipit/plugin-reach',
  config: z.strictObject({}),
  provides: { transport: { version: 1 } },
  setup: neverSetUp,
});

/** Reaches hosts, and installs on them. */
const shell = definePlugin({
  name: '@pipit/plugin-shell',
  config: z.strictObject({}),
  provides: { transport: { version: 1 }, deployer: { version: 1 } },
  setup: neverSetUp,
});

export const plugins: Readonly<Record<string, AnyPlugin>> = {
  '@pipit/plugin-jenkins': jenkins,
  '@pipit/plugin-local': local,
  '@pipit/plugin-inventory': inventory,
  '@pipit/plugin-reach': reach,
  '@pipit/plugin-shell': shell,
};

export const loadSample = async (uses: string): Promise<AnyPlugin> => {
  const plugin = plugins[uses];
  if (plugin !== undefined) return plugin;
  throw new PluginError({ code: 'PLUGIN_NOT_FOUND', message: `Plugin ${JSON.stringify(uses)} was not found`, recovery: 'stop' });
};

export const noFile = (path: string): never => {
  throw Object.assign(new Error(`no such file ${path}`), { code: 'ENOENT' });
};

/** Loads a text with the sample plugins. */
export const load = (text: string, overrides: Partial<LoadConfigOptions> = {}) =>
  loadConfig({
    file: '/etc/pipit/pipit.yaml',
    text,
    environment: {},
    readFile: noFile,
    loadPlugin: loadSample,
    redact: () => {},
    ...overrides,
  });

/** `line:column code path` of each problem. */
export const places = async (text: string, overrides: Partial<LoadConfigOptions> = {}): Promise<readonly string[]> => {
  const result = await load(text, overrides);
  return result.ok ? [] : result.problems.map((problem) => `${problem.line}:${problem.column} ${problem.code} ${problem.path}`);
};

/** The smallest config, with more lines under its pipeline. */
export const minimal = (lines: readonly string[] = [], trigger = 'local'): string =>
  [
    'pipelines:',
    '  web:',
    '    repositories: ["acme/*"]',
    `    trigger: ${trigger}`,
    '    ci: local',
    '    packager: local',
    '    repository: local',
    '    discovery: local',
    '    deployer: local',
    ...lines.map((line) => `    ${line}`),
    '',
  ].join('\n');
