import { type AnyPlugin, createSecret, definePlugin } from '@pipit/core';
import { expect, it } from 'vitest';
import { type ConfigError, createRuntime, type GivenPlugin, type RuntimeConfig } from '../src/index.js';
import { anyConfig } from './any-config.js';

/** Only types matter: nothing of it is ever called. */
const never = (): never => {
  throw new Error('not called');
};

const builder = definePlugin({
  name: 'builder',
  config: anyConfig,
  provides: { ci: { version: 1 } },
  setup: () => ({ ci: { find: never, start: never, inspect: never } }),
});

const fleet = definePlugin({
  name: 'fleet',
  config: anyConfig,
  provides: {
    trigger: { version: 1 },
    packager: { version: 1 },
    repository: { version: 1 },
    discovery: { version: 1 },
    deployer: { version: 1 },
  },
  setup: never,
});

const plugins = { builder: { plugin: builder }, fleet: { plugin: fleet } } as const;

/** As createRuntime infers it. */
const typed = <const Plugins extends Readonly<Record<string, GivenPlugin>>>(config: RuntimeConfig<Plugins>): RuntimeConfig<Plugins> =>
  config;

const slots = { trigger: 'fleet', ci: 'builder', packager: 'fleet', repository: 'fleet', discovery: 'fleet', deployer: 'fleet' } as const;

it('lets a slot name only an instance that has the kind: anything else does not compile', () => {
  typed({ plugins, pipelines: { web: { repositories: ['*'], ...slots } } });
  typed({ plugins, pipelines: { web: { repositories: ['*'], ...slots, ci: { use: 'builder', with: { job: 'x' } } } } });
  // @ts-expect-error: builder provides no packager
  typed({ plugins, pipelines: { web: { repositories: ['*'], ...slots, packager: 'builder' } } });
  // @ts-expect-error: fleet provides no ci, also as an object
  typed({ plugins, pipelines: { web: { repositories: ['*'], ...slots, ci: { use: 'fleet' } } } });
  // @ts-expect-error: nobody is called jenkins
  typed({ plugins, pipelines: { web: { repositories: ['*'], ...slots, ci: 'jenkins' } } });
  const { deployer: _deployer, ...rest } = slots;
  // @ts-expect-error: a pipeline needs a deployer
  typed({ plugins, pipelines: { web: { repositories: ['*'], ...rest } } });
});

it('refuses at run time what got past the types, with every problem, and shows no secret', async () => {
  const any: { readonly plugin: AnyPlugin; readonly with: object } = { plugin: builder, with: { token: createSecret('hunter2-hunter2') } };
  const lines: string[] = [];
  const made = createRuntime({
    config: {
      plugins: { builder: any as GivenPlugin, fleet: { plugin: fleet } }, // forgets what it provides
      pipelines: { web: { repositories: ['*'], ...slots, packager: 'builder' as never, ci: 'jenkins' as never } },
    },
    dataFolder: '/nonexistent/never-made',
    writeLog: (line) => lines.push(line),
  });
  const error: ConfigError = await made.then(never, (thrown) => thrown as ConfigError); // what createRuntime says it throws
  expect(error.code).toBe('CONFIG_INVALID');
  expect(error.problems.length).toBeGreaterThanOrEqual(2);
  expect(error.message).toContain('builder');
  expect(error.message).toContain('jenkins');
  expect(`${error.message}${lines.join('')}`).not.toContain('hunter2');
});
