import { chmod, chown, lstat, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerUser } from './server-user.js';

/** The shortest `sun_path` of the systems we run on: 104 bytes with its closing zero (macOS, BSD; Linux has 108). */
const MAX_SOCKET_PATH_BYTES = 103;
const SOCKET_NAME = '.s.PGSQL.5432';

const fits = (folder: string): boolean => Buffer.byteLength(join(folder, SOCKET_NAME)) <= MAX_SOCKET_PATH_BYTES;

const isOurs = async (folder: string, uid: number): Promise<boolean> => {
  const entry = await lstat(folder).catch(() => undefined);
  return entry?.isDirectory() === true && entry.uid === uid && (entry.mode & 0o777) === 0o700;
};

/** Where root's short folders are; other users' are in /tmp, because their own runtime folder goes when they log out. */
const shortParent = async (): Promise<string> => {
  if (process.getuid?.() !== 0) return '/tmp';
  await mkdir('/run/pipit', { recursive: true, mode: 0o711 });
  return '/run/pipit';
};

/**
 * A folder for the database's socket that only its user may enter: inside the data folder, or, when that path is too long for a socket,
 * a short one elsewhere, which a record in the data folder remembers.
 */
export const prepareSocketFolder = async (postgresFolder: string, user: ServerUser | undefined): Promise<string> => {
  const uid = user?.uid ?? process.getuid?.() ?? 0;
  const give = async (folder: string): Promise<string> => {
    await chmod(folder, 0o700);
    if (user) await chown(folder, user.uid, user.gid);
    return folder;
  };
  const inside = join(postgresFolder, 'socket');
  if (fits(inside)) {
    await mkdir(inside, { recursive: true, mode: 0o700 });
    return give(inside);
  }
  const record = join(postgresFolder, 'socket-folder');
  const recorded = await readFile(record, 'utf8').catch(() => ''); // none yet
  if (recorded !== '' && (await isOurs(recorded, uid))) return recorded;
  const short = await give(await mkdtemp(join(await shortParent(), 'pipit-pg-')));
  await writeFile(record, short);
  return short;
};

/** Removes a short folder that {@link prepareSocketFolder} made elsewhere; the one inside the data folder stays. */
export const removeSocketFolder = async (postgresFolder: string, socketFolder: string): Promise<void> => {
  if (socketFolder === join(postgresFolder, 'socket')) return;
  await rm(socketFolder, { recursive: true, force: true });
  await rm(join(postgresFolder, 'socket-folder'), { force: true });
};
