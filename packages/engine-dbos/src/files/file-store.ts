import { createHash, randomUUID } from 'node:crypto';
import { existsSync, lstatSync, unlinkSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Clock, type Digest, type FileStore, PluginError, parseDigest, type StoredFile } from '@pipit/core';

export interface Sweep {
  /** Whether something still refers to these bytes. */
  readonly keep: (digest: Digest) => boolean | Promise<boolean>;
  /** Younger files stay, whatever `keep` says: their row may not be written yet. Milliseconds. */
  readonly olderThanMs: number;
}

/** What one effect stores, until it is known whether it succeeds. */
export interface TentativeFiles {
  readonly files: FileStore;
  /** Removes what was stored by it alone; bytes that were there before, or that somebody stored again since, stay. */
  takeBack(): Promise<void>;
}

export interface FolderFileStore extends FileStore {
  tentative(): TentativeFiles;
  /** Removes files that nothing refers to, and what killed writers left. */
  sweep(options: Sweep): Promise<{ readonly removedFiles: number; readonly freedBytes: number }>;
}

export interface FileStoreOptions {
  readonly folder: string;
  readonly clock: Clock;
  /** The most that one file may have; a larger one is refused (`FILE_TOO_LARGE`, stop) and leaves nothing. Default: no limit. */
  readonly maxFileBytes?: number;
}

const HEX_NAME = /^[0-9a-f]{64}$/;
const READ_BYTES = 256 * 1024;

const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** Like readdir, with nothing in a folder that is not there. */
const namesIn = (folder: string): Promise<readonly string[]> =>
  readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw error;
  });

/** The error of bytes that do not end: whatever they are read from, a file, another host or a build server. */
const tooLarge = (maxFileBytes: number): PluginError =>
  new PluginError({
    code: 'FILE_TOO_LARGE',
    message: `A file has more than ${maxFileBytes} bytes, the most that is kept of one`,
    hint: "Look what the build or package left there. If it has to be so large, raise `maxFileSize` in pipit's config.",
    recovery: 'stop',
  });

const writeAll = async (file: FileHandle, content: AsyncIterable<Uint8Array>, maxFileBytes: number): Promise<StoredFile> => {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of content) {
    hash.update(chunk);
    size += chunk.byteLength;
    if (size > maxFileBytes) throw tooLarge(maxFileBytes);
    for (let written = 0; written < chunk.byteLength; ) written += (await file.write(chunk, written)).bytesWritten;
  }
  await file.sync();
  return { sha256: parseDigest(`sha256:${hash.digest('hex')}`), size };
};

/**
 * Bytes by digest in a folder: `ab/cd/<64 hex>`, written to `tmp/` first and renamed when they are on the disk.
 * Equal bytes are kept once. Several processes may use one folder.
 */
export const createFileStore = ({ folder, clock, maxFileBytes = Number.POSITIVE_INFINITY }: FileStoreOptions): FolderFileStore => {
  const temporary = join(folder, 'tmp');
  const writing = new Set<string>();
  /** Digests that a `put` is about to return: `sweep` leaves them alone. */
  const arriving = new Map<string, number>();
  const pathOf = (digest: Digest): string => {
    const hex = parseDigest(digest).slice('sha256:'.length);
    return join(folder, hex.slice(0, 2), hex.slice(2, 4), hex);
  };

  /** @returns the new file's inode; undefined when its bytes were there before */
  const settle = async (from: string, stored: StoredFile): Promise<bigint | undefined> => {
    const target = pathOf(stored.sha256);
    const { ino } = await stat(from, { bigint: true });
    const now = clock.now();
    arriving.set(target, (arriving.get(target) ?? 0) + 1);
    try {
      await utimes(from, now, now);
      await mkdir(dirname(target), { recursive: true, mode: 0o700 });
      // Equal bytes are renamed over the old ones and not dropped: that renews the time a sweep goes by, and heals damaged bytes.
      const isNew = !existsSync(target);
      await rename(from, target);
      await syncFolder(dirname(target));
      await syncFolder(dirname(dirname(target)));
      await syncFolder(folder);
      return isNew ? ino : undefined;
    } finally {
      const others = (arriving.get(target) ?? 1) - 1;
      if (others === 0) arriving.delete(target);
      else arriving.set(target, others);
    }
  };

  /** Asked and done without an await in between, so that a `put` of this process cannot come between. */
  const removeIfOld = (path: string, before: number): number | undefined => {
    if (arriving.has(path) || writing.has(path)) return undefined;
    try {
      const entry = lstatSync(path);
      if (entry.mtimeMs > before) return undefined;
      unlinkSync(path);
      return entry.size;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined; // another replica's sweep was quicker
      throw error;
    }
  };

  const store = async (content: AsyncIterable<Uint8Array>): Promise<{ readonly stored: StoredFile; readonly ino: bigint | undefined }> => {
    await mkdir(temporary, { recursive: true, mode: 0o700 });
    const path = join(temporary, randomUUID());
    writing.add(path);
    try {
      const file = await open(path, 'wx', 0o600);
      const stored = await writeAll(file, content, maxFileBytes).finally(() => file.close());
      return { stored, ino: await settle(path, stored) };
    } finally {
      writing.delete(path);
      await rm(path, { force: true });
    }
  };

  /** Asked and done without an await in between, as above. */
  const takeBack = (path: string, ino: bigint): void => {
    if (arriving.has(path)) return;
    try {
      if (lstatSync(path, { bigint: true }).ino === ino) unlinkSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  };

  const put: FileStore['put'] = async (content) => (await store(content)).stored;
  const get: FileStore['get'] = (wanted) => readVerified(pathOf, wanted);

  return {
    maxFileBytes,
    put,
    get,

    tentative: () => {
      const made = new Map<string, bigint>();
      return {
        files: {
          maxFileBytes,
          put: async (content) => {
            const { stored, ino } = await store(content);
            if (ino !== undefined) made.set(pathOf(stored.sha256), ino);
            return stored;
          },
          get,
        },
        takeBack: async () => {
          for (const [path, ino] of made) takeBack(path, ino);
        },
      };
    },

    sweep: async ({ keep, olderThanMs }) => {
      const before = clock.now().getTime() - olderThanMs;
      let removedFiles = 0;
      let freedBytes = 0;
      const remove = (path: string): void => {
        const bytes = removeIfOld(path, before);
        if (bytes === undefined) return;
        removedFiles += 1;
        freedBytes += bytes;
      };
      for (const name of await namesIn(temporary)) remove(join(temporary, name));
      for (const first of await namesIn(folder)) {
        if (!/^[0-9a-f]{2}$/.test(first)) continue;
        for (const second of await namesIn(join(folder, first)))
          for (const hex of await namesIn(join(folder, first, second)))
            if (HEX_NAME.test(hex) && !(await keep(parseDigest(`sha256:${hex}`)))) remove(join(folder, first, second, hex));
      }
      return { removedFiles, freedBytes };
    },
  };
};

async function* readVerified(pathOf: (digest: Digest) => string, wanted: StoredFile): AsyncGenerator<Uint8Array> {
  const file = await open(pathOf(wanted.sha256), 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new PluginError({
      code: 'FILE_NOT_STORED',
      message: `The file store has no bytes for ${wanted.sha256}`,
      hint: 'They were removed from the data folder, or belong to another one. Start the run again from its build.',
      recovery: 'stop',
    });
  });
  try {
    const hash = createHash('sha256');
    let size = 0;
    for (;;) {
      // A buffer of its own each time: the reader may keep the one before.
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES);
      if (bytesRead === 0) break;
      const chunk = buffer.subarray(0, bytesRead);
      hash.update(chunk);
      size += bytesRead;
      yield chunk;
    }
    const found = `sha256:${hash.digest('hex')}`;
    if (found === wanted.sha256 && size === wanted.size) return;
    throw new PluginError({
      code: 'FILE_CORRUPT',
      message: `The file store's bytes for ${wanted.sha256} (${wanted.size} bytes) are now ${found} (${size} bytes)`,
      hint: 'The disk or somebody changed them. Check the disk, remove the file and start the run again from its build.',
      recovery: 'stop',
    });
  } finally {
    await file.close();
  }
}
