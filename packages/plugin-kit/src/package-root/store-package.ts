import { type Op, PluginError, type StoredFile } from '@pipit/core';

/** How a package of a format begins. Source: deb(5), and the lead of rpm's file format. */
const FIRST_BYTES: Readonly<Record<string, string>> = { deb: '!<arch>\ndebian-binary', rpm: '\u00ed\u00ab\u00ee\u00db' };

async function* checked(content: AsyncIterable<Uint8Array>, path: string, wanted: string): AsyncGenerator<Uint8Array> {
  let start = '';
  for await (const chunk of content) {
    if (start.length < wanted.length) {
      start += Buffer.from(chunk.subarray(0, wanted.length)).toString('latin1');
      if (!wanted.startsWith(start.slice(0, wanted.length))) break;
    }
    yield chunk;
  }
  if (!start.startsWith(wanted))
    throw new PluginError({
      code: 'PACKAGE_BUILD_FAILED',
      message: `${path}, which was to be a package, is something else`,
      hint: 'Look whether script/package leaves processes or files outside of $PIPIT_PACKAGE_ROOT.',
      recovery: 'stop',
    });
}

/**
 * Puts a package that was made in the shell's folder into the file store. What is no package does not get there: code of the repository ran in
 * that folder.
 *
 * @throws PluginError `PACKAGE_BUILD_FAILED` (stop), and what `shell.read` and `files.put` throw
 */
export const storePackage = (op: Op<'shell' | 'files'>, path: string, format: string): Promise<StoredFile> =>
  op.files.put(checked(op.shell.read(path), path, FIRST_BYTES[format] ?? ''));
