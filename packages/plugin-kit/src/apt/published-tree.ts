import { isPluginError, PluginError, type Shell } from '@pipit/core';
import { requestHttp } from '../http/request-http.js';
import { indexTooLarge, MAX_PACKED_INDEX_BYTES } from './unpack-index.js';

/** A published APT repository as a host reads it: files below one address. */
export interface PublishedTree {
  /** For messages: the folder or the address. */
  readonly place: string;
  /** The bytes of a file, or undefined where there is none. */
  read(path: string): Promise<Uint8Array | undefined>;
}

/** A tree in a folder of the shell's machine. */
export const treeInFolder = (shell: Pick<Shell, 'read'>, folder: string): PublishedTree => ({
  place: folder,
  async read(path) {
    const chunks: Uint8Array[] = [];
    let size = 0;
    try {
      for await (const chunk of shell.read(`${folder}/${path}`)) {
        size += chunk.length;
        if (size > MAX_PACKED_INDEX_BYTES) throw indexTooLarge(`${folder}/${path}`, MAX_PACKED_INDEX_BYTES);
        chunks.push(chunk);
      }
    } catch (thrown) {
      if (isPluginError(thrown) && thrown.code === 'SHELL_FILE_NOT_FOUND') return undefined;
      throw thrown;
    }
    return Buffer.concat(chunks);
  },
});

/** A tree behind an `http:` or `https:` address, read from pipit's own machine. */
export const treeOverHttp = (url: string, signal: AbortSignal): PublishedTree => ({
  place: url,
  async read(path) {
    const address = `${url.replace(/\/+$/, '')}/${path.split('/').map(encodeURIComponent).join('/')}`;
    const answer = await requestHttp({ url: address, signal });
    if (answer.status === 404) return undefined;
    if (answer.status >= 200 && answer.status < 300) return answer.body;
    throw new PluginError({
      code: 'REPOSITORY_NOT_READABLE',
      message: `${address} answered ${answer.status}`,
      hint: 'Look at the web server that serves the published repository: hosts read the same address.',
      recovery: 'stop',
    });
  },
});
