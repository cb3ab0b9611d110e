import type { WorkspacePackage } from './read-workspace.js';

/** What every plugin's folder holds. */
export const PLUGIN_FILES = [
  'README.md',
  'package.json',
  'tsup.config.ts',
  'src/index.ts',
  'src/config.ts',
  'test/conformance.test.ts',
] as const;

/** Every way in which a plugin's folder differs from the shape that all share. */
export const checkPluginFolder = ({ folder, manifest, files, sources }: WorkspacePackage): readonly string[] => {
  const problems: string[] = PLUGIN_FILES.filter((file) => !files.includes(file)).map((file) => `${folder}/${file} is missing`);
  const expectedName = `@pipit/plugin-${folder.replace(/^plugins\//, '')}`;
  if (manifest.name !== expectedName) problems.push(`${folder}/package.json: the name is ${manifest.name}, expected ${expectedName}`);
  const face = sources.find((file) => file.path === `${folder}/src/index.ts`);
  if (face !== undefined && !/^export (?:const plugin\b|\{[^}]*\bplugin\s*[,}])/m.test(face.text))
    problems.push(`${face.path} exports no "plugin", which is what a loader takes`);
  if (!manifest.keywords?.includes('pipit-plugin')) problems.push(`${folder}/package.json: the keyword "pipit-plugin" is missing`);
  if (manifest.peerDependencies?.['@pipit/core'] === undefined)
    problems.push(`${folder}/package.json: @pipit/core is not a peer dependency`);
  if (manifest.dependencies?.['@pipit/core'] !== undefined)
    problems.push(`${folder}/package.json: @pipit/core is a dependency; it has to be a peer dependency, or two copies get installed`);
  return problems;
};
