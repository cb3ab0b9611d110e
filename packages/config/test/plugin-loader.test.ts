import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isPluginError, PluginError } from '@pipit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPluginLoader, parsePlugin } from '../src/index.js';
import { local } from './sample-plugins.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pipit-config-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const put = (path: string, content: string): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
};

const source = (name: string, ci = '{ version: 1 }'): string => `
const schema = { '~standard': { version: 1, vendor: 'hand', validate: (value) => ({ value }), jsonSchema: { input: () => ({}), output: () => ({}) } } };
export const plugin = { name: '${name}', config: schema, provides: { ci: ${ci} }, setup: () => ({}) };
`;

const putPackage = (
  folder: string,
  name: string,
  content: string,
  exports: object = { '.': { types: './index.d.ts', default: './index.js' } },
): void => {
  put(`${folder}/node_modules/${name}/package.json`, JSON.stringify({ name, type: 'module', exports }));
  put(`${folder}/node_modules/${name}/index.js`, content);
};

const load = (uses: string) => createPluginLoader({ installationFolder: join(root, 'installed') })(uses, join(root, 'site'));

const errorOf = async (uses: string): Promise<PluginError> => {
  const thrown: unknown = await load(uses).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!isPluginError(thrown)) throw new Error(`Not a PluginError: ${String(thrown)}`);
  return thrown;
};

describe('createPluginLoader', () => {
  it("takes a plugin from the config file's folder before the installation's", async () => {
    putPackage('installed', 'pipit-plugin-both', source('of the installation'));
    putPackage('installed', 'pipit-plugin-one', source('only installed'));
    putPackage('site', 'pipit-plugin-both', source('of the site'));
    expect((await load('pipit-plugin-both')).name).toBe('of the site');
    expect((await load('pipit-plugin-one')).name).toBe('only installed');
  });

  it('takes a plugin by a path from the config file', async () => {
    put('site/my-plugin.mjs', source('mine'));
    expect((await load('./my-plugin.mjs')).name).toBe('mine');
    put('installed/other.mjs', source('not mine'));
    expect((await errorOf('./other.mjs')).code).toBe('PLUGIN_NOT_FOUND');
  });

  it.each([
    ['nowhere', () => {}, 'PLUGIN_NOT_FOUND', 'npm install pipit-plugin-x'],
    [
      'without its file',
      () => rmSync(join(root, 'site/node_modules/pipit-plugin-x/index.js')),
      'PLUGIN_NOT_RESOLVABLE',
      'must have been built',
    ],
    [
      'for import only',
      () => putPackage('site', 'pipit-plugin-x', source('x'), { '.': { import: './index.js' } }),
      'PLUGIN_NOT_RESOLVABLE',
      '"default"',
    ],
    ['throwing', () => putPackage('site', 'pipit-plugin-x', 'throw new Error("boom")'), 'PLUGIN_LOAD_FAILED', 'index.js'],
    [
      'without an import of its own',
      () => putPackage('site', 'pipit-plugin-x', 'import "missing-dependency"'),
      'PLUGIN_LOAD_FAILED',
      'index.js',
    ],
    ['exporting nothing', () => putPackage('site', 'pipit-plugin-x', 'export default 1'), 'PLUGIN_EXPORT_MISSING', 'definePlugin'],
    ['malformed', () => putPackage('site', 'pipit-plugin-x', 'export const plugin = { name: "x" }'), 'PLUGIN_MALFORMED', 'definePlugin'],
    ['for a newer core', () => putPackage('site', 'pipit-plugin-x', source('x', '{ version: 2 }')), 'PLUGIN_KIND_VERSION', 'newer pipit'],
  ])('says what to do with a plugin that is %s', async (what, prepare, code, hint) => {
    if (what !== 'nowhere') putPackage('site', 'pipit-plugin-x', source('x'));
    prepare();
    const error = await errorOf('pipit-plugin-x');
    expect(error.code).toBe(code);
    expect(error.hint).toContain(hint);
    expect(error.recovery).toBe('stop');
  });
});

describe('parsePlugin', () => {
  const errorFor = (value: unknown): string => {
    try {
      parsePlugin(value, 'pipit-plugin-x');
    } catch (error) {
      if (error instanceof PluginError) return `${error.code}: ${error.message}`;
      throw error;
    }
    return 'accepted';
  };

  it('names plugin, kind, the version wanted and the version offered', () => {
    expect(errorFor({ ...local, provides: { ci: { version: 3 } } })).toBe(
      'PLUGIN_KIND_VERSION: Plugin @pipit/plugin-local wants version 3 of kind ci; this pipit offers version 1',
    );
    expect(errorFor({ ...local, provides: { oracle: { version: 1 } } })).toBe(
      'PLUGIN_KIND_VERSION: Plugin @pipit/plugin-local wants version 1 of kind oracle; this pipit offers no such kind',
    );
  });

  it.each([
    [null, 'it is not an object'],
    [{ ...local, name: '' }, 'it has no name'],
    [{ ...local, config: {} }, 'its `config` is not a schema'],
    [{ ...local, config: { '~standard': { validate: () => ({}) } } }, 'its `config` is not a schema'],
    [{ ...local, setup: 1 }, 'its `setup` is not a function'],
    [{ ...local, provides: {} }, 'its `provides` names no kind'],
    [{ ...local, provides: { ci: {} } }, 'its `provides.ci` has no version'],
    [{ ...local, provides: { ci: { version: 1, options: {} } } }, 'its `provides.ci.options` is not a schema'],
  ])('refuses what is no plugin', (value, fault) => {
    expect(errorFor(value)).toContain(fault);
  });

  it('accepts a plugin made with another copy of core', () => {
    expect(errorFor({ ...local, provides: { ...local.provides } })).toBe('accepted');
  });
});
