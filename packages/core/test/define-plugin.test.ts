import { describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import {
  type AnyPlugin,
  assertNever,
  type BuildRequest,
  type Ci,
  createSecret,
  definePlugin,
  type Gate,
  type Instance,
  KIND_VERSIONS,
  type Kind,
  type Kinds,
  type Secret,
} from '../src/index.js';

const config = z.object({ url: z.url(), token: z.string().transform(createSecret), timeoutMs: z.number().default(1_000) });
const options = z.object({ job: z.string() });

const gate: Gate<unknown> = { judge: async () => ({ verdict: 'pending', reason: 'No data', measurements: [] }) };
const ci: Ci<{ readonly job: string }> = {
  find: async () => undefined,
  start: async ({ options: { job } }) => job,
  inspect: async () => ({ state: 'lost', reason: 'It was never started' }),
};

const plugin = definePlugin({
  name: 'pipit-plugin-sample',
  config,
  provides: { ci: { version: 1, options }, gate: { version: 1 } },
  setup: (given, { instance }) => {
    expectTypeOf(given).toEqualTypeOf<{ url: string; token: Secret; timeoutMs: number }>();
    expectTypeOf(instance).toEqualTypeOf<string>();
    return { ci, gate };
  },
});

describe('definePlugin', () => {
  it('returns what it was given', () => {
    const given = { name: 'pipit-plugin-x', config, provides: { gate: { version: 1 as const } }, setup: () => ({ gate }) };
    expect(definePlugin(given)).toBe(given);
  });

  it('infers the config, its input, and the options of each kind', () => {
    type Made = Awaited<ReturnType<typeof plugin.setup>>;
    expectTypeOf<Made['ci']>().toEqualTypeOf<Ci<{ job: string }>>();
    expectTypeOf<Made['gate']>().toEqualTypeOf<Gate<Readonly<Record<string, never>>>>();
    expectTypeOf<keyof Made>().toEqualTypeOf<'ci' | 'gate' | 'receive' | 'checkHealth' | 'dispose'>();
    expectTypeOf<Parameters<Made['ci']['start']>[0]>().toEqualTypeOf<BuildRequest<{ job: string }>>();
    expectTypeOf<Parameters<typeof plugin.setup>[0]['token']>().toEqualTypeOf<Secret>();
  });

  it('makes a kind that is provided but not set up a compile error', () => {
    definePlugin({
      name: 'pipit-plugin-x',
      config,
      provides: { ci: { version: 1, options }, gate: { version: 1 } },
      // @ts-expect-error: ci is missing
      setup: () => ({ gate }),
    });
  });

  it('makes a version that this core does not offer a compile error', () => {
    definePlugin({
      name: 'pipit-plugin-x',
      config,
      // @ts-expect-error: there is no version 2 of gate
      provides: { gate: { version: 2 } },
      // @ts-expect-error: follows from it, since nothing is known of what is provided
      setup: () => ({ gate }),
    });
  });

  it('makes an unknown kind a compile error', () => {
    definePlugin({
      name: 'pipit-plugin-x',
      config,
      // @ts-expect-error: there is no kind "gates"
      provides: { gates: { version: 1 } },
      // @ts-expect-error: follows from it, since nothing is known of what is provided
      setup: () => ({}),
    });
  });

  it('makes options that differ from their schema a compile error', () => {
    definePlugin({
      name: 'pipit-plugin-x',
      config,
      provides: { ci: { version: 1, options: z.object({ pipeline: z.string() }) } },
      // @ts-expect-error: this ci wants a job, and the schema gives a pipeline
      setup: () => ({ ci }),
    });
  });

  it('makes a schema without a JSON Schema of its own a compile error', () => {
    const bare = { '~standard': { version: 1, vendor: 'x', validate: (value: unknown) => ({ value }) } } as const;
    // @ts-expect-error: editors could not complete such a config
    definePlugin({ name: 'pipit-plugin-x', config: bare, provides: {}, setup: () => ({}) });
  });

  it('is any plugin to a loader, to which each kind may be missing', () => {
    expectTypeOf(plugin).toExtend<AnyPlugin>();
    type Made = Awaited<ReturnType<AnyPlugin['setup']>>;
    expectTypeOf<undefined>().toExtend<Made['trigger']>();
    expectTypeOf<Instance<{ gate: { version: 1 } }>>().toExtend<Made>();
  });

  it('offers a version of every kind', () => {
    expectTypeOf<keyof typeof KIND_VERSIONS>().toEqualTypeOf<keyof Kinds<unknown>>();
    expectTypeOf<Kind>().toEqualTypeOf<keyof typeof KIND_VERSIONS>();
    expect(Object.values(KIND_VERSIONS).every((version) => version >= 1)).toBe(true);
  });
});

describe('assertNever', () => {
  it('throws on a value that the types did not foresee', () => {
    expect(() => assertNever('later' as never)).toThrow('Unexpected value: "later"');
  });

  it('takes no member of a union that was forgotten', () => {
    // @ts-expect-error: a switch that forgot "b" would pass it here
    expect(() => assertNever<'b'>('b')).toThrow();
  });
});
