import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { PluginError } from '@pipit/core';

/** All indices of a suite, unpacked: those of the whole of Debian have a quarter of it. A gzip of 1 MB may unpack to 1 GB. */
export const MAX_UNPACKED_INDEX_BYTES = 256 * 1024 * 1024;
/** An index as it is served. */
export const MAX_PACKED_INDEX_BYTES = 64 * 1024 * 1024;

const unpack = promisify(gunzip);

export const indexTooLarge = (path: string, maxBytes: number): PluginError =>
  new PluginError({
    code: 'REPOSITORY_INDEX_TOO_LARGE',
    message: `${path} makes more than ${maxBytes} bytes, the most that is read of a suite's package indices`,
    hint: 'Look who writes to this repository, and remove what does not belong there.',
    recovery: 'stop',
  });

/**
 * Unpacks a `Packages.gz`, beside the event loop.
 *
 * @throws PluginError `REPOSITORY_INDEX_TOO_LARGE` (stop)
 */
export const unpackIndex = async (
  compressed: Uint8Array,
  { path, maxBytes }: { readonly path: string; readonly maxBytes: number },
): Promise<string> => {
  try {
    return (await unpack(compressed, { maxOutputLength: Math.max(1, maxBytes) })).toString('utf8');
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ERR_BUFFER_TOO_LARGE') throw indexTooLarge(path, maxBytes);
    throw thrown;
  }
};
