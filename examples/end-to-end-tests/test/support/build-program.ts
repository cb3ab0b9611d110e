import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsup';

const WORKSPACE = fileURLToPath(new URL('../../../../', import.meta.url));

/** Nothing of these is bundled: they are imported from where the package that names them has them. */
const isOutside = (specifier: string): boolean => !/^[./]/.test(specifier) && !specifier.startsWith('@pipit/');

const programFile = (name: string): string => fileURLToPath(new URL(`../programs/${name}.ts`, import.meta.url));

/** Builds a program of test/programs, with the workspace's sources in it, for plain Node: so what runs is what stands in `src`, not an older build. */
export const buildProgram = async (
  name: string,
  /** Modules of the workspace's sources, by the end of their path, and the file of test/programs that takes the place of each. */
  replaced: Readonly<Record<string, string>> = {},
): Promise<{ readonly path: string; remove(): Promise<void> }> => {
  const folder = await mkdtemp(join(tmpdir(), 'pipit-program-'));
  // Where the embedded database's programs are looked for.
  await symlink(join(WORKSPACE, 'packages/engine-dbos/node_modules'), join(folder, 'node_modules'));
  await build({
    entry: { [name]: programFile(name) },
    outDir: folder,
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
  return { path: join(folder, `${name}.mjs`), remove: () => rm(folder, { recursive: true, force: true }) };
};
