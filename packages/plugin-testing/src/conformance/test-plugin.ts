import { type AnyPlugin, KIND_VERSIONS, type Kind } from '@pipit/core';
import { expect } from 'vitest';
import { createTemporaryFolder } from '../context/temporary-folder.js';
import { createTestSetup } from '../context/test-setup.js';
import { type Check, registerChecks } from './check.js';
import { expectPlainJson } from './expectations.js';

export interface PluginHarness {
  readonly plugin: AnyPlugin;
  /** As a user writes it under `with:`, references resolved. */
  readonly goodConfig: unknown;
  /** Configs to refuse, each by the name of its fault. */
  readonly badConfigs: Readonly<Record<string, unknown>>;
  /** The texts in {@link PluginHarness.goodConfig} that are secrets; none may be printed with the validated config. */
  readonly secrets?: readonly string[];
}

/** What `validate` answers; plugins may do it at once or later. */
const validate = async ({ config }: AnyPlugin, value: unknown) => config['~standard'].validate(value);

const validated = async ({ plugin, goodConfig }: PluginHarness): Promise<unknown> => {
  const result = await validate(plugin, goodConfig);
  return result.issues === undefined ? result.value : expect.fail(`the good config was refused: ${JSON.stringify(result.issues)}`);
};

/** What a plugin as a whole promises, one check each. */
export const pluginChecks: readonly Check<PluginHarness>[] = [
  {
    name: 'is named as packages are, and provides kinds that this core knows, in their versions',
    run: async ({ plugin }) => {
      expect(plugin.name).toMatch(/^(?:@[a-z0-9-]+\/)?[a-z0-9][a-z0-9._-]*$/);
      const provided = Object.entries<{ readonly version: number } | undefined>(plugin.provides);
      expect(provided.length).toBeGreaterThan(0);
      for (const [kind, entry] of provided) expect(entry?.version, `the version of ${kind}`).toBe(KIND_VERSIONS[kind as Kind]); // an unknown kind has no version
    },
  },
  {
    name: 'describes its config, and the options of its kinds, as JSON Schema',
    run: async ({ plugin }) => {
      const provided: readonly ({ readonly options?: AnyPlugin['config'] } | undefined)[] = Object.values(plugin.provides);
      for (const schema of [plugin.config, ...provided.flatMap((entry) => entry?.options ?? [])]) {
        const jsonSchema = schema['~standard'].jsonSchema.input({ target: 'draft-2020-12' });
        expect(jsonSchema.type, 'a config is an object').toBe('object');
        expectPlainJson(jsonSchema, 'the JSON Schema');
      }
    },
  },
  {
    name: 'sets up an object for each kind it provides',
    run: async (harness) => {
      const config = await validated(harness);
      const folder = await createTemporaryFolder();
      try {
        const instance = await harness.plugin.setup(config, createTestSetup({ folder: folder.path }));
        for (const kind of Object.keys(harness.plugin.provides))
          expect(instance, `what setup returns`).toHaveProperty(kind, expect.any(Object));
        await instance.dispose?.();
      } finally {
        await folder.remove();
      }
    },
  },
  {
    name: 'refuses each bad config, with an issue that says something',
    run: async ({ plugin, badConfigs }) => {
      expect(Object.keys(badConfigs).length, 'bad configs of the harness').toBeGreaterThan(0);
      for (const [fault, config] of Object.entries(badConfigs)) {
        const { issues } = await validate(plugin, config);
        expect(issues?.map((issue) => issue.message).join(), `the issue for ${fault}`).toMatch(/\S/);
      }
    },
  },
  {
    name: 'keeps secrets out of its printed config',
    run: async (harness) => {
      const printed = JSON.stringify(await validated(harness));
      for (const secret of harness.secrets ?? []) expect(printed.includes(secret), 'a secret in the printed config').toBe(false);
    },
  },
];

/** Registers a test for each promise of a plugin as a whole. */
export const testPlugin = (name: string, harness: PluginHarness): void => registerChecks(name, pluginChecks, harness);
