import { describe, expect, it } from 'vitest';
import { findCycles } from './support/check-cycles.js';
import { checkAmbientUses, checkLayers } from './support/check-layers.js';
import { type Manifest, readWorkspace, type WorkspacePackage } from './support/read-workspace.js';

/** Files outside the composition root that touch the machine's clock, dice or environment, and why they may. */
const AMBIENT_EXCEPTIONS: Readonly<Record<string, string>> = {
  'packages/plugin-testing/src/context/system-clock.ts':
    'tests of real processes compose a plugin as the composition root does, and need the real time',
};

const workspace = readWorkspace();

describe('this workspace', () => {
  it('holds every package of the design', () => {
    expect(workspace.map((unit) => unit.folder)).toEqual(expect.arrayContaining(['packages/core', 'packages/runtime', 'plugins/local']));
    expect(workspace.find((unit) => unit.folder === 'packages/core')?.sources.length).toBeGreaterThan(20);
  });

  it('keeps the arrows of the layers', () => {
    expect(checkLayers(workspace)).toEqual([]);
  });

  it('takes clock, dice and environment as given outside the composition root', () => {
    expect(checkAmbientUses(workspace, AMBIENT_EXCEPTIONS)).toEqual([]);
  });

  it.each(workspace.map((unit) => [unit.manifest.name, unit.sources] as const))('has no import cycle in %s', (_name, sources) => {
    expect(findCycles(sources)).toEqual([]);
  });
});

const unit = (
  folder: string,
  manifest: Partial<Manifest> & { readonly name: string },
  sources: Readonly<Record<string, string>> = {},
): WorkspacePackage => ({
  folder,
  manifest: { exports: { '.': {} }, ...manifest },
  sources: Object.entries(sources).map(([path, text]) => ({ path: `${folder}/src/${path}`, text })),
  files: [],
});

const core = (sources: Readonly<Record<string, string>>, manifest: Partial<Manifest> = {}): WorkspacePackage =>
  unit('packages/core', { name: '@pipit/core', dependencies: { '@standard-schema/spec': '1' }, ...manifest }, sources);

const plugin = (sources: Readonly<Record<string, string>>, manifest: Partial<Manifest> = {}): WorkspacePackage =>
  unit('plugins/jenkins', { name: '@pipit/plugin-jenkins', peerDependencies: { '@pipit/core': '1' }, ...manifest }, sources);

const runtime = (sources: Readonly<Record<string, string>>, manifest: Partial<Manifest> = {}): WorkspacePackage =>
  unit('packages/runtime', { name: '@pipit/runtime', dependencies: { '@pipit/core': '1', tsyringe: '4' }, ...manifest }, sources);

describe('the check of layers', () => {
  it('passes what the design allows', () => {
    const good = [
      core({
        'schema.ts': "import type { StandardSchemaV1 } from '@standard-schema/spec';\nexport type S = StandardSchemaV1;",
        'index.ts': "export type { S } from './schema.js';",
      }),
      plugin({ 'index.ts': "import { PluginError } from '@pipit/core';\nimport { join } from 'node:path';" }),
      runtime({ 'container.ts': "import { container } from 'tsyringe';" }),
      unit('packages/cli', { name: '@pipit/cli', dependencies: { '@pipit/plugin-local': '1' } }),
    ];
    expect(checkLayers(good)).toEqual([]);
  });

  it.each([
    ['core imports a library', core({ 'a.ts': "import { z } from 'zod';" }), /core may not import zod/],
    [
      'core imports a value of the schema spec',
      core({ 'a.ts': "import { x } from '@standard-schema/spec';" }),
      /may not import @standard-schema/,
    ],
    ['core imports a built-in of Node', core({ 'a.ts': "import { inspect } from 'node:util';" }), /may not import node:util/],
    ['core depends on a library', core({}, { dependencies: { zod: '4' } }), /may not depend on zod/],
    [
      'a plugin imports a plugin',
      plugin({ 'a.ts': "import { github } from '@pipit/plugin-github';" }),
      /may not import @pipit\/plugin-github/,
    ],
    [
      'a plugin re-exports a plugin',
      plugin({ 'a.ts': "export { github } from '@pipit/plugin-github';" }),
      /may not import @pipit\/plugin-github/,
    ],
    [
      'a plugin loads a plugin',
      plugin({ 'a.ts': "const github = await import('@pipit/plugin-github');" }),
      /may not import @pipit\/plugin-github/,
    ],
    [
      'a plugin names a type of a plugin',
      plugin({ 'a.ts': "type G = import('@pipit/plugin-github').G;" }),
      /may not import @pipit\/plugin-github/,
    ],
    [
      'a plugin depends on a plugin',
      plugin({}, { dependencies: { '@pipit/plugin-github': '1' } }),
      /may not depend on @pipit\/plugin-github/,
    ],
    ['a plugin tests with a plugin', plugin({}, { devDependencies: { '@pipit/plugin-github': '1' } }), /its tests included/],
    [
      'a plugin ships the test kit',
      plugin({ 'a.ts': "import { testCi } from '@pipit/plugin-testing';" }),
      /may not import @pipit\/plugin-testing/,
    ],
    [
      'the runtime imports a plugin',
      runtime({ 'a.ts': "import { local } from '@pipit/plugin-local';" }),
      /may not import @pipit\/plugin-local/,
    ],
    [
      'a plugin uses the container',
      plugin({ 'a.ts': "import { inject } from 'tsyringe';" }, { dependencies: { tsyringe: '4' } }),
      /only @pipit\/runtime may depend on tsyringe/,
    ],
    [
      'the cli imports a plugin',
      unit(
        'packages/cli',
        { name: '@pipit/cli', dependencies: { '@pipit/plugin-local': '1' } },
        { 'a.ts': "import '@pipit/plugin-local';" },
      ),
      /may not import @pipit\/plugin-local/,
    ],
    ['an import goes behind a face', plugin({ 'a.ts': "import { x } from '@pipit/core/dist/secret.js';" }), /only face is its index/],
    [
      'an import goes into another folder',
      plugin({ 'a.ts': "import { x } from '../../../packages/core/src/secret.js';" }),
      /outside its own src/,
    ],
    ['an import lacks .js', plugin({ 'a.ts': "import { x } from './b';" }), /without ".js"/],
    ['an import goes by the own face', plugin({ 'a.ts': "import { x } from './index.js';" }), /not its face/],
    ['an import is not declared', plugin({ 'a.ts': "import { execa } from 'execa';" }), /does not name/],
    ['an index stands inside', plugin({ 'parts/index.ts': 'export const a = 1;' }), /only src\/index\.ts is an index/],
    ['a face is no explicit list', plugin({ 'index.ts': "export * from './a.js';" }), /not an explicit list/],
    ['a package has two faces', plugin({}, { exports: { '.': {}, './parts': {} } }), /only face/],
    ['a package is new', unit('packages/odds', { name: '@pipit/odds' }), /no place in the layers/],
  ])('tells when %s', (_what, bad, expected) => {
    expect(checkLayers([bad]).join('\n')).toMatch(expected);
  });

  it.each([
    'const t = Date.now();',
    'const t = new Date();',
    'const r = Math.random();',
    'const e = process.env.HOME;',
    "const e = process['env'];",
    'const { env } = process;',
    'const { env: outer } = process;',
    'const e = globalThis.process.env;',
    "import { env } from 'node:process';",
  ])('tells of %s outside the composition root', (text) => {
    expect(checkAmbientUses([plugin({ 'a.ts': text })], {})).toEqual([expect.stringContaining('plugins/jenkins/src/a.ts:1: ')]);
    expect(checkAmbientUses([runtime({ 'a.ts': text })], {})).toEqual([]);
    expect(checkAmbientUses([plugin({ 'a.ts': text })], { 'plugins/jenkins/src/a.ts': 'a reason' })).toEqual([]);
  });

  it('passes a time that is given, and an environment that is named otherwise', () => {
    expect(
      checkAmbientUses([plugin({ 'a.ts': "const t = new Date(1); const e = options.env; // Date.now()\nconst s = 'process.env';" })], {}),
    ).toEqual([]);
  });

  it('tells of an exception that is not needed', () => {
    expect(checkAmbientUses([plugin({})], { 'plugins/jenkins/src/a.ts': 'a reason' })).toEqual([expect.stringContaining('needs none')]);
  });
});

describe('the search for cycles', () => {
  const files = (texts: Readonly<Record<string, string>>) => Object.entries(texts).map(([path, text]) => ({ path, text }));

  it('finds none in a tree', () => {
    expect(findCycles(files({ 'a.ts': "import './b.js'; import './c.js';", 'b.ts': "import './c.js';", 'c.ts': '' }))).toEqual([]);
  });

  it('finds a ring of three, told once', () => {
    expect(
      findCycles(files({ 'a.ts': "import './b.js';", 'b.ts': "import './c.js';", 'c.ts': "import './a.js';", 'd.ts': "import './b.js';" })),
    ).toEqual(['a.ts -> b.ts -> c.ts -> a.ts']);
  });

  it('finds a ring of types', () => {
    expect(findCycles(files({ 'a.ts': "import type { B } from './b.js';", 'b.ts': "export type { A } from './a.js';" }))).toEqual([
      'a.ts -> b.ts -> a.ts',
    ]);
  });
});
