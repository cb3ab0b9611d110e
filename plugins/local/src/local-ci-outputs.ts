import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type BuildOutput, type FileStore, PluginError } from '@pipit/core';
import { openConfinedFile } from './confined-file.js';

/** More files than a package of one app has; a build that leaves its whole cache there is told so. */
const MAX_OUTPUTS = 20_000;

const refused = (path: string, what: string): PluginError =>
  new PluginError({
    code: 'LOCAL_CI_OUTPUT_REFUSED',
    message: `${path} in $PIPIT_OUTPUT ${what}`,
    hint: 'Let script/cibuild put plain files there (cp --dereference); links are made by script/package.',
    recovery: 'stop',
  });

const listFiles = async (folder: string, root: string, found: string[]): Promise<void> => {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((one, other) => (one.name < other.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await listFiles(path, root, found);
    else if (!entry.isFile()) throw refused(relative(root, path), 'is neither a file nor a folder');
    else found.push(relative(root, path));
    if (found.length > MAX_OUTPUTS) throw refused(relative(root, path), `is one of more than ${MAX_OUTPUTS} files`);
  }
};

/** Puts every file of the output folder into the file store, in the order of their paths. */
export const collectOutputs = async (folder: string, files: FileStore, signal: AbortSignal): Promise<readonly BuildOutput[]> => {
  const paths: string[] = [];
  await listFiles(folder, folder, paths);
  const outputs: BuildOutput[] = [];
  for (const path of paths) {
    signal.throwIfAborted();
    const file = await openConfinedFile(join(folder, path));
    if (file === undefined) throw refused(path, 'is not a plain file');
    // The stream closes the file, also when the file store fails.
    outputs.push({ path, file: await files.put(file.createReadStream({ autoClose: true })) });
  }
  return outputs;
};
