import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsup';

/** Builds a program of test/programs as a package of ours is built, so that plain Node runs it in a process of its own. */
export const buildProgram = async (name: string, folder: string): Promise<string> => {
  await build({
    entry: { [name]: fileURLToPath(new URL(`programs/${name}.ts`, import.meta.url)) },
    outDir: folder,
    format: ['esm'],
    platform: 'node',
    target: 'node20',
    outExtension: () => ({ js: '.mjs' }),
    noExternal: [/./],
    // CommonJS code within the bundle asks for Node's own modules.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    esbuildOptions: (options) => {
      options.conditions = ['pipit-source'];
    },
    config: false,
    silent: true,
  });
  return join(folder, `${name}.mjs`);
};
