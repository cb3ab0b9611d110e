import { join } from 'node:path';
import { build } from 'tsup';

/** The program as one file that plain Node runs. */
export const bundleProgram = async (source: string, into: string): Promise<string> => {
  await build({
    entry: { child: source },
    outDir: into,
    clean: false,
    config: false,
    silent: true,
    format: 'esm',
    platform: 'node',
    outExtension: () => ({ js: '.mjs' }),
    noExternal: [/.*/],
    esbuildOptions(settings) {
      settings.conditions = ['pipit-source'];
    },
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  });
  return join(into, 'child.mjs');
};
