import { chmod, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { PluginError } from '@pipit/core';

/** Says that a folder is pipit's, and in which layout. */
export const DATA_FOLDER_MARKER = 'pipit-data.json';
/** Raised when the layout changes so that an older pipit must not touch it. */
export const DATA_FOLDER_FORMAT = 1;

/** Absolute paths of everything pipit keeps on this machine. */
export interface DataFolder {
  readonly folder: string;
  /** The embedded database. */
  readonly postgres: string;
  /** The file store. */
  readonly files: string;
  /** Temporary folders of builds and packages. */
  readonly work: string;
  /** Mirrors of the delivered repositories. */
  readonly sources: string;
  /** Signing keys and tokens. */
  readonly keys: string;
  /** The lock and the address of the running server; holds nothing secret. */
  readonly run: string;
  /** The private folder of one plugin instance, made on the first call (mode 0700). */
  instance(name: string): Promise<string>;
}

/** What a fresh file system or a killed start may leave in an otherwise empty folder. */
const isIgnorable = (name: string): boolean => name === 'lost+found' || name.startsWith(`${DATA_FOLDER_MARKER}.`);

const checkMarker = async (folder: string): Promise<'ours' | 'empty'> => {
  const text = await readFile(join(folder, DATA_FOLDER_MARKER), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) {
    const found = (await readdir(folder)).filter((name) => !isIgnorable(name));
    if (found.length === 0) return 'empty';
    throw new PluginError({
      code: 'DATA_FOLDER_NOT_PIPITS',
      message: `${folder} is not empty and is not a data folder of pipit (it holds ${found.slice(0, 3).join(', ')}${found.length > 3 ? ', ...' : ''})`,
      hint: 'Name an empty folder or one that does not exist yet; pipit writes only into folders that it began itself.',
      recovery: 'stop',
    });
  }
  const format = formatOf(text);
  if (format === DATA_FOLDER_FORMAT) return 'ours';
  throw new PluginError({
    code: 'DATA_FOLDER_FORMAT_UNKNOWN',
    message: `${folder} has the layout ${format ?? 'unknown'}; this pipit knows layout ${DATA_FOLDER_FORMAT}`,
    hint: 'Run the version of pipit that wrote this folder, or a newer one.',
    recovery: 'stop',
  });
};

const formatOf = (text: string): number | undefined => {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null && 'format' in parsed && typeof parsed.format === 'number'
      ? parsed.format
      : undefined;
  } catch {
    return undefined; // a text that is not JSON names no layout
  }
};

const writable = async <T>(folder: string, act: () => Promise<T>): Promise<T> => {
  try {
    return await act();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code; // Node's file calls throw nothing else
    if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS' && code !== 'ENOTDIR') throw error;
    throw new PluginError({
      code: 'DATA_FOLDER_NOT_WRITABLE',
      message: `The data folder ${folder} cannot be made or written by this user (${code})`,
      hint: 'Run pipit as the user who owns the folder, or name another one.',
      recovery: 'stop',
      cause: error,
    });
  }
};

/**
 * Makes a data folder with its parts and modes, or checks one that is there.
 * When pipit is root other users may pass through the top (0711), since the database and confined code have a uid of their own; else only we may.
 *
 * @throws PluginError `DATA_FOLDER_NOT_PIPITS`, `DATA_FOLDER_FORMAT_UNKNOWN`, `DATA_FOLDER_NOT_WRITABLE` (all stop)
 */
export const prepareDataFolder = async (path: string): Promise<DataFolder> => {
  const folder = resolve(path);
  const part = (name: string): string => join(folder, name);
  const passable = process.getuid?.() === 0 ? 0o711 : 0o700;
  const ensure = async (target: string, mode: number): Promise<string> => {
    await mkdir(target, { recursive: true, mode });
    await chmod(target, mode);
    return target;
  };
  return writable(folder, async () => {
    await mkdir(folder, { recursive: true });
    const found = await checkMarker(folder);
    await chmod(folder, passable);
    if (found === 'empty') {
      const fresh = part(`${DATA_FOLDER_MARKER}.${process.pid}`);
      await writeFile(fresh, `${JSON.stringify({ format: DATA_FOLDER_FORMAT })}\n`);
      await rename(fresh, part(DATA_FOLDER_MARKER));
    }
    // `postgres` is not chmod-ed: the embedded database gives it to the uid that it runs as.
    await mkdir(part('postgres'), { recursive: true, mode: 0o700 });
    return {
      folder,
      postgres: part('postgres'),
      files: await ensure(part('files'), 0o700),
      work: await ensure(part('work'), passable),
      sources: await ensure(part('sources'), 0o700),
      keys: await ensure(part('keys'), 0o700),
      run: await ensure(part('run'), passable === 0o711 ? 0o755 : 0o700),
      instance: await ensure(part('instances'), passable).then((instances) => (name: string) => ensure(join(instances, name), 0o700)),
    };
  });
};
