import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

const MAX_BYTES = 1024;
const FRESH = /\.[0-9a-f]{16}\.new$/;

/** The first token, in the data folder: for its user, and for the start after one that was killed before it was stored. */
export const firstTokenFile = (dataFolder: string): string => join(dataFolder, 'token');

/** The token of the server that runs now, which is in no database and ends with its process. */
export const localTokenFile = (dataFolder: string): string => join(dataFolder, 'keys', 'local-token');

/** Root may use the tokens of every user, and reads any file anyway. */
const isOwn = (uid: number): boolean => {
  const own = process.getuid?.();
  return own === 0 || own === uid;
};

/** Reads a token that only this user could have written and read; anything else is no token. */
export const readTokenFile = async (path: string): Promise<string | undefined> => {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const entry = await file.stat();
    if (!entry.isFile() || entry.size > MAX_BYTES || !isOwn(entry.uid) || (entry.mode & 0o077) !== 0) return undefined;
    return (await file.readFile('utf8')).trim();
  } finally {
    await file.close();
  }
};

const sync = async (path: string): Promise<void> => {
  const folder = await open(path, constants.O_RDONLY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
};

/** Writes a token where only this user reads it. It is on the disk, whole, when this returns; a crash leaves the former file or this one. */
export const writeTokenFile = async (path: string, token: string): Promise<void> => {
  const folder = dirname(path);
  for (const name of await readdir(folder))
    if (name.startsWith(`${basename(path)}.`) && FRESH.test(name)) await rm(join(folder, name), { force: true });
  const fresh = `${path}.${randomBytes(8).toString('hex')}.new`;
  const file = await open(fresh, 'wx', 0o600);
  try {
    await file.chmod(0o600);
    await file.writeFile(`${token}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(fresh, path);
  await sync(folder);
};

/** Removes a token file, unless another process has written its own there since. */
export const removeTokenFile = async (path: string, token: string): Promise<void> => {
  const entry = await lstat(path).catch(() => undefined);
  if (entry !== undefined && (await readTokenFile(path)) === token) await rm(path, { force: true });
};

/** The token that a user finds in a data folder of its own: that of the process which runs there, else the first one. */
export const readOwnToken = async (dataFolder: string): Promise<string | undefined> =>
  (await readTokenFile(localTokenFile(dataFolder))) ?? (await readTokenFile(firstTokenFile(dataFolder)));
