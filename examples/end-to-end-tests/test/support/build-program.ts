import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsup';

const WORKSPACE = fileURLToPath(new URL('../../../../', import.meta.url));

/** Nothing of these is bundled: they are imported from where the package that names them has them. */
const isOutside = (specifier: string): boolean => !/^[./]/.test(specifier) && !specifier.startsWith('@pipit/');

/** Builds a program of test/programs, with the workspace's sources in it, for plain Node: so what runs is what stands in `src`, not an older build. */
export const buildProgram = async (name: string): Promise<{ readonly path: string; remove(): Promise<void> }> => {
  const folder = await mkdtemp(join(tmpdir(), 'pipit-program-'));
  // Where the embedded database's programs are looked for.
  await symlink(join(WORKSPACE, 'packages/engine-dbos/node_modules'), join(folder, 'node_modules'));
  await build({
    entry: { [name]: fileURLToPath(new URL(`../programs/${name}.ts`, import.meta.url)) },
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
