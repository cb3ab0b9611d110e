import { type AnyPlugin, createSecret, definePlugin } from '@pipit/core';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type PluginHarness, pluginChecks, registerChecks, runChecks, testPlugin } from '../src/index.js';
import { expectSuiteSees } from './subjects/expect-suite.js';

type Fault = 'has another version' | 'describes nothing' | 'sets up nothing' | 'takes any config' | 'prints its token';

const config = z.object({ url: z.url(), token: z.string().transform(createSecret) });
const options = z.object({ job: z.string() });

const good = definePlugin({
  name: 'pipit-plugin-memory',
  config,
  provides: { gate: { version: 1, options } },
  setup: () => ({ gate: { judge: async () => ({ verdict: 'pass', reason: 'Always', measurements: [] }) } }),
});

/** What a loader does with a package's export: it may be anything. */
const load = (exported: object): AnyPlugin => exported as AnyPlugin; // a plugin that was built against another core is no AnyPlugin of this one

const broken: Readonly<Record<Fault, AnyPlugin>> = {
  'has another version': load({ ...good, provides: { gate: { version: 2, options } } }),
  'describes nothing': {
    ...good,
    config: { '~standard': { ...config['~standard'], jsonSchema: { input: () => ({}), output: () => ({}) } } },
  },
  'sets up nothing': { ...good, setup: () => ({}) },
  'takes any config': { ...good, config: z.looseObject({}) },
  'prints its token': { ...good, config: z.object({ url: z.url(), token: z.string() }) },
};

const harness = (fault?: Fault): PluginHarness => ({
  plugin: fault === undefined ? good : broken[fault],
  goodConfig: { url: 'https://example.org', token: 't0ken' },
  badConfigs: { 'no URL': { token: 't0ken' } },
  secrets: ['t0ken'],
});

testPlugin('a plugin in memory', harness());

describe('the suite for a plugin', () => {
  expectSuiteSees({
    checks: pluginChecks,
    harness,
    faults: {
      'has another version': 'is named as packages are, and provides kinds that this core knows, in their versions',
      'describes nothing': 'describes its config, and the options of its kinds, as JSON Schema',
      'sets up nothing': 'sets up an object for each kind it provides',
      'takes any config': 'refuses each bad config, with an issue that says something',
      'prints its token': 'keeps secrets out of its printed config',
    },
  });
});

describe('running checks', () => {
  it('tells kept and broken apart', async () => {
    const results = await runChecks(
      [
        { name: 'kept', run: async () => {} },
        { name: 'broken', run: async () => expect.fail('it broke') },
      ],
      undefined,
    );
    expect(results.map(({ name, outcome }) => [name, outcome])).toEqual([
      ['kept', 'kept'],
      ['broken', 'broken'],
    ]);
  });
});

registerChecks(
  'a registered check',
  [{ name: 'runs with its harness', run: async (given: { readonly value: number }) => expect(given.value).toBe(1) }],
  { value: 1 },
);
