import { basename, dirname, join } from 'node:path';

/**
 * What confined code needs to run the same `node` and its `npm` when they lie outside of the system's folders, as nvm's do: the folder of programs, on
 * its PATH, and beside it the modules that the programs link to.
 */
export const nodeFolders = (readable: readonly string[]): { readonly path: readonly string[]; readonly readable: readonly string[] } => {
  const programs = dirname(process.execPath);
  const modules = basename(programs) === 'bin' ? [join(dirname(programs), 'lib', 'node_modules')] : [];
  return { path: [programs], readable: [...modules, ...readable] };
};
