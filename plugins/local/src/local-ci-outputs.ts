import { type BuildOutput, type FileStore, isPluginError, PluginError } from '@pipit/core';
import { type ConfinedEntry, listConfined, readOpenFile } from '@pipit/plugin-kit';

/** More files and folders than a package of one app has; a build that leaves its whole cache there is told so. */
const MAX_OUTPUTS = 20_000;

const refused = (message: string, hint: string): PluginError =>
  new PluginError({ code: 'LOCAL_CI_OUTPUT_REFUSED', message, hint, recovery: 'stop' });

const tooMany = (path: string): PluginError =>
  refused(
    `${path} in $PIPIT_OUTPUT is one of more than ${MAX_OUTPUTS} files and folders`,
    'Let script/cibuild put there what the package needs, and nothing else.',
  );

const tooLarge = (maxBytes: number): PluginError =>
  refused(
    `$PIPIT_OUTPUT has more than ${maxBytes} bytes, the most that is collected of a build`,
    "Files with holes count with their whole length. If it has to be so large, raise `maxFileSize` in pipit's config.",
  );

const sizeOf = async (entry: ConfinedEntry): Promise<number> => {
  const file = await entry.open();
  try {
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
};

/** What code of a repository left there, in the words of this plugin. */
const inWords = (thrown: unknown): unknown =>
  isPluginError(thrown) && thrown.code === 'CONFINED_PATH_REFUSED'
    ? refused(
        `$PIPIT_OUTPUT cannot be collected: ${thrown.message}`,
        'Let script/cibuild put plain files there (cp --dereference); links are made by script/package.',
      )
    : thrown;

/** Puts every file of the output folder into the file store, in the order of their paths. It follows no link and opens plain files only. */
export const collectOutputs = async (root: string, files: FileStore, signal: AbortSignal): Promise<readonly BuildOutput[]> => {
  const outputs: BuildOutput[] = [];
  const { maxFileBytes = Number.POSITIVE_INFINITY } = files;
  let seen = 0;
  let bytes = 0;
  try {
    // All are looked at before the first is stored: a folder that is refused leaves no bytes behind.
    for await (const entry of listConfined({ root, path: '' })) {
      seen += 1;
      if (seen > MAX_OUTPUTS) throw tooMany(entry.path);
      if (entry.kind === 'file') bytes += await sizeOf(entry);
      if (bytes > maxFileBytes) throw tooLarge(maxFileBytes);
    }
    let left = maxFileBytes;
    for await (const { path, kind, open } of listConfined({ root, path: '' })) {
      signal.throwIfAborted();
      if (kind === 'folder') continue;
      // The reader closes the file, also when the store fails.
      const file = await files.put(readOpenFile(await open(), path, left));
      left -= file.size;
      outputs.push({ path, file });
    }
  } catch (thrown) {
    throw inWords(thrown);
  }
  return outputs;
};
