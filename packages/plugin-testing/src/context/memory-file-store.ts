import { createHash } from 'node:crypto';
import { type Digest, type FileStore, PluginError, type StoredFile } from '@pipit/core';

/** Measures bytes as pipit's file store does. */
export const measure = (bytes: Uint8Array): StoredFile => ({
  sha256: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
  size: bytes.byteLength,
});

const readAll = async (content: AsyncIterable<Uint8Array>): Promise<Uint8Array> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
};

export interface MemoryFileStore extends FileStore {
  /** The digests of what is held, in the order of their arrival. */
  readonly digests: readonly Digest[];
  /** Stores a text or bytes, to begin a test with. */
  putBytes(content: string | Uint8Array): StoredFile;
  readBytes(file: StoredFile): Promise<Uint8Array>;
  /** Puts other bytes under a known digest, as a broken disk would. */
  corrupt(file: StoredFile): void;
}

/** A file store in memory. It measures what passes and refuses to hand out what changed. */
export const createMemoryFileStore = (): MemoryFileStore => {
  const files = new Map<Digest, Uint8Array>();
  const putBytes = (content: string | Uint8Array): StoredFile => {
    const bytes = Buffer.from(content);
    const file = measure(bytes);
    files.set(file.sha256, bytes);
    return file;
  };
  async function* get(file: StoredFile): AsyncGenerator<Uint8Array> {
    const bytes = files.get(file.sha256);
    if (bytes === undefined)
      throw new PluginError({ code: 'FILE_NOT_STORED', message: `The file store has no ${file.sha256}`, recovery: 'stop' });
    if (measure(bytes).sha256 !== file.sha256)
      throw new PluginError({ code: 'FILE_CORRUPT', message: `The bytes stored as ${file.sha256} have changed`, recovery: 'stop' });
    yield bytes;
  }
  return {
    get digests() {
      return [...files.keys()];
    },
    put: async (content) => putBytes(await readAll(content)),
    get,
    putBytes,
    readBytes: (file) => readAll(get(file)),
    corrupt: (file) => {
      files.set(file.sha256, Buffer.from('corrupted'));
    },
  };
};
