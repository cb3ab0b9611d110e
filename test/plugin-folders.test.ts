import { describe, expect, it } from 'vitest';
import { checkPluginFolder, PLUGIN_FILES } from './support/check-plugin-folder.js';
import { readWorkspace, type WorkspacePackage } from './support/read-workspace.js';

const plugins = readWorkspace().filter((unit) => unit.folder.startsWith('plugins/'));

it('finds the plugins', () => {
  expect(plugins.map((unit) => unit.folder)).toContain('plugins/local');
});

it.each(plugins.map((unit) => [unit.folder, unit] as const))('%s has the shape of every plugin', (_folder, unit) => {
  expect(checkPluginFolder(unit)).toEqual([]);
});

describe('the check of a plugin folder', () => {
  const good: WorkspacePackage = {
    folder: 'plugins/jenkins',
    manifest: { name: '@pipit/plugin-jenkins', keywords: ['pipit-plugin'], peerDependencies: { '@pipit/core': 'workspace:^' } },
    sources: [{ path: 'plugins/jenkins/src/index.ts', text: 'export const plugin = definePlugin({});' }],
    files: PLUGIN_FILES,
  };

  it('passes the shape of the design', () => {
    expect(checkPluginFolder(good)).toEqual([]);
  });

  it.each(PLUGIN_FILES)('misses %s', (file) => {
    expect(checkPluginFolder({ ...good, files: PLUGIN_FILES.filter((other) => other !== file) })).toEqual([
      `plugins/jenkins/${file} is missing`,
    ]);
  });

  it('passes a plugin that is exported from another file, and tells of one that is not exported', () => {
    const withFace = (text: string) => checkPluginFolder({ ...good, sources: [{ path: 'plugins/jenkins/src/index.ts', text }] });
    expect(withFace("export { jenkins as plugin } from './jenkins.js';")).toEqual([]);
    expect(withFace('const plugin = 1;\nexport const jenkins = plugin;')).toEqual([expect.stringContaining('exports no "plugin"')]);
  });

  it.each([
    ['another name', { ...good.manifest, name: '@pipit/jenkins' }, /expected @pipit\/plugin-jenkins/],
    ['no keyword', { ...good.manifest, keywords: ['pipit'] }, /keyword/],
    ['no peer', { name: good.manifest.name, keywords: ['pipit-plugin'] }, /not a peer/],
    ['core as a dependency', { ...good.manifest, dependencies: { '@pipit/core': '1' } }, /two copies/],
  ])('tells of %s', (_what, manifest, expected) => {
    expect(checkPluginFolder({ ...good, manifest })).toEqual([expect.stringMatching(expected)]);
  });
});
