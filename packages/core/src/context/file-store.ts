import type { StoredFile } from '../domain/artifact.js';

/** Bytes by digest. Pipit measures size and sha256 as they pass. */
export interface FileStore {
  /** The most that `put` takes; a larger file is refused (`FILE_TOO_LARGE`, stop). Undefined: no limit. */
  readonly maxFileBytes?: number;
  put(content: AsyncIterable<Uint8Array>): Promise<StoredFile>;
  /** Throws a PluginError `FILE_NOT_STORED` (stop) on the first read when the bytes are gone, `FILE_CORRUPT` when they changed. */
  get(file: StoredFile): AsyncIterable<Uint8Array>;
}
