import { posix } from 'node:path';
import { type Import, readAmbientUses, readImports, readStarExports } from './read-source.js';
import type { SourceFile, WorkspacePackage } from './read-workspace.js';

/** What may be imported from this workspace by one package; `typesOnly` names what may be imported from outside, and only as types. */
interface Layer {
  readonly workspace: readonly string[];
  readonly outside?: { readonly typesOnly: readonly string[] };
}

/**
 * The table "Layout and who may import whom" of the design, as data. Two arrows are wider than its first edition: the runtime builds the
 * shells and the redaction that plugins get out of plugin-kit, and the command speaks core's types.
 */
export const LAYERS: Readonly<Record<string, Layer>> = {
  '@pipit/core': { workspace: [], outside: { typesOnly: ['@standard-schema/spec'] } },
  '@pipit/plugin-kit': { workspace: ['@pipit/core'] },
  '@pipit/plugin-testing': { workspace: ['@pipit/core'] },
  '@pipit/pipeline': { workspace: ['@pipit/core'] },
  '@pipit/config': { workspace: ['@pipit/core'] },
  '@pipit/engine-dbos': { workspace: ['@pipit/core', '@pipit/pipeline'] },
  '@pipit/runtime': { workspace: ['@pipit/core', '@pipit/plugin-kit', '@pipit/config', '@pipit/pipeline', '@pipit/engine-dbos'] },
  '@pipit/server': { workspace: ['@pipit/core', '@pipit/runtime'] },
  '@pipit/dashboard': { workspace: [] },
  '@pipit/cli': { workspace: ['@pipit/core', '@pipit/config', '@pipit/runtime', '@pipit/server'] },
};

const PLUGIN_LAYER: Layer = { workspace: ['@pipit/core', '@pipit/plugin-kit'] };

/** Packages that only the composition root may touch. */
const ONLY_IN: Readonly<Record<string, string>> = { tsyringe: '@pipit/runtime', 'reflect-metadata': '@pipit/runtime' };

/** Where the machine's clock, dice and environment may be touched: the composition root and the command. */
const AMBIENT_ALLOWED = ['@pipit/runtime', '@pipit/cli'];

const isPluginFolder = (folder: string): boolean => folder.startsWith('plugins/');
const isPluginName = (name: string): boolean => /^@pipit\/plugin-(?!kit$|testing$)/.test(name);
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
const isRelative = (specifier: string): boolean => specifier.startsWith('.');
const isBuiltIn = (specifier: string): boolean => specifier.startsWith('node:');

const layerOf = (unit: WorkspacePackage): Layer | undefined => (isPluginFolder(unit.folder) ? PLUGIN_LAYER : LAYERS[unit.manifest.name]);

/** The cli depends on our plugins so that they resolve from its installation; it imports none. */
const mayDependOn = (unit: WorkspacePackage, layer: Layer, name: string): boolean =>
  layer.workspace.includes(name) || (unit.manifest.name === '@pipit/cli' && isPluginName(name));

const checkManifest = (unit: WorkspacePackage, layer: Layer): readonly string[] => {
  const { manifest, folder } = unit;
  const shipped = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
  const problems = shipped
    .filter((name) => name.startsWith('@pipit/') && !mayDependOn(unit, layer, name))
    .map((name) => `${folder}/package.json: ${manifest.name} may not depend on ${name}`);
  for (const [name, owner] of Object.entries(ONLY_IN))
    if (shipped.includes(name) && manifest.name !== owner) problems.push(`${folder}/package.json: only ${owner} may depend on ${name}`);
  if (layer.outside !== undefined)
    for (const name of shipped.filter((name) => !layer.outside?.typesOnly.includes(name)))
      problems.push(`${folder}/package.json: ${manifest.name} may not depend on ${name}`);
  if (isPluginFolder(folder))
    for (const name of Object.keys(manifest.devDependencies ?? {}).filter(isPluginName))
      problems.push(`${folder}/package.json: a plugin may not depend on the plugin ${name}, its tests included`);
  const faces = Object.keys(manifest.exports ?? {}).filter((face) => face !== './package.json');
  if (faces.join() !== '.') problems.push(`${folder}/package.json: its only face is ".", but it exports ${JSON.stringify(faces)}`);
  return problems;
};

const checkOutside = (unit: WorkspacePackage, layer: Layer, { specifier, typeOnly }: Import): string | undefined => {
  if (isBuiltIn(specifier)) return layer.outside === undefined ? undefined : `may not import ${specifier}`;
  const name = packageOf(specifier);
  const { manifest } = unit;
  if (name === manifest.name) return `imports its own face ${specifier}: import the file`;
  if (name.startsWith('@pipit/')) {
    if (specifier !== name) return `imports ${specifier}: a package's only face is its index`;
    if (!layer.workspace.includes(name)) return `may not import ${name}`;
  }
  const owner = ONLY_IN[name];
  if (owner !== undefined && owner !== manifest.name) return `imports ${name}, which is for ${owner} alone`;
  if (layer.outside !== undefined && !(typeOnly && layer.outside.typesOnly.includes(name))) return `may not import ${specifier}`;
  if (!(name in { ...manifest.dependencies, ...manifest.peerDependencies })) return `imports ${name}, which its package.json does not name`;
  return undefined;
};

const checkRelative = (unit: WorkspacePackage, file: SourceFile, { specifier }: Import): string | undefined => {
  const target = posix.join(posix.dirname(file.path), specifier);
  if (!target.startsWith(`${unit.folder}/src/`)) return `imports ${specifier}, outside its own src`;
  if (posix.basename(target) === 'index.js') return `imports ${specifier}: inside a package, import the file and not its face`;
  if (!/\.(?:js|json)$/.test(specifier)) return `imports ${specifier} without ".js"`;
  return undefined;
};

const checkFile = (unit: WorkspacePackage, layer: Layer, file: SourceFile): readonly string[] => {
  const problems: string[] = [];
  for (const found of readImports(file.path, file.text)) {
    const problem = isRelative(found.specifier) ? checkRelative(unit, file, found) : checkOutside(unit, layer, found);
    if (problem !== undefined) problems.push(`${file.path}:${found.line}: ${unit.manifest.name} ${problem}`);
  }
  if (/\/index\.tsx?$/.test(file.path) && file.path !== `${unit.folder}/src/index.ts`)
    problems.push(`${file.path}: only src/index.ts is an index; name the file for its concept`);
  for (const star of readStarExports(file.path, file.text))
    problems.push(`${file.path}:${star.line}: "${star.text}" is not an explicit list`);
  return problems;
};

/** Every breach of the layers, one line each: where, who, what. */
export const checkLayers = (workspace: readonly WorkspacePackage[]): readonly string[] =>
  workspace.flatMap((unit) => {
    const layer = layerOf(unit);
    if (layer === undefined)
      return [`${unit.folder}/package.json: ${unit.manifest.name} has no place in the layers: give it one in test/support/check-layers.ts`];
    return [...checkManifest(unit, layer), ...unit.sources.flatMap((file) => checkFile(unit, layer, file))];
  });

/**
 * Every use of the machine's clock, dice or environment outside the composition root.
 *
 * @param allowed files that may, and why; an entry that is not needed (any more) is a breach itself
 */
export const checkAmbientUses = (workspace: readonly WorkspacePackage[], allowed: Readonly<Record<string, string>>): readonly string[] => {
  const used = new Set<string>();
  const problems = workspace
    .filter((unit) => !AMBIENT_ALLOWED.includes(unit.manifest.name))
    .flatMap((unit) => unit.sources)
    .flatMap((file) =>
      readAmbientUses(file.path, file.text).flatMap((use) => {
        if (file.path in allowed) {
          used.add(file.path);
          return [];
        }
        return [`${file.path}:${use.line}: ${use.text} belongs to the composition root; take it as given`];
      }),
    );
  const unneeded = Object.keys(allowed).filter((path) => !used.has(path));
  return [...problems, ...unneeded.map((path) => `${path}: stands in the list of exceptions but needs none`)];
};
