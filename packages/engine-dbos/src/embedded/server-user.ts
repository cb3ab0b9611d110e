import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { PluginError } from '@pipit/core';

/** The uid and gid that the database's processes have. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to be root, so root's database runs as this system user. */
export const SERVER_USER_NAME = 'pipit-postgres';

const run = promisify(execFile);

const lookUp = async (name: string): Promise<ServerUser | undefined> => {
  // passwd(5): name:password:uid:gid:...
  const fields = await run('getent', ['passwd', name]).then(
    ({ stdout }) => stdout.split(':'),
    () => [], // getent exits with 2 when there is no such user
  );
  return fields.length < 4 ? undefined : { uid: Number(fields[2]), gid: Number(fields[3]) };
};

/**
 * Who the database runs as: undefined for ourselves. As root that is the owner of a cluster that is there, else a system user of its own,
 * which is made when it is missing (initdb needs an entry in passwd).
 *
 * @throws PluginError `DATABASE_USER_NOT_MADE` (stop)
 */
export const serverUser = async (clusterFolder: string): Promise<ServerUser | undefined> => {
  if (process.getuid?.() !== 0) return undefined;
  const owner = await stat(clusterFolder).catch(() => undefined);
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const known = await lookUp(SERVER_USER_NAME);
  if (known) return known;
  const made = await run('useradd', [
    '--system',
    '--user-group',
    '--no-create-home',
    '--home-dir',
    '/nonexistent',
    '--shell',
    '/usr/sbin/nologin',
    SERVER_USER_NAME,
  ]).catch((error: unknown) => error);
  // Looked up whatever useradd said: another start may have made it at the same time.
  const user = await lookUp(SERVER_USER_NAME);
  if (user) return user;
  throw new PluginError({
    code: 'DATABASE_USER_NOT_MADE',
    message: `PostgreSQL does not run as root, and the system user ${SERVER_USER_NAME} could not be made`,
    hint: `Make it by hand (useradd --system --no-create-home ${SERVER_USER_NAME}), run pipit as an ordinary user, or give database.url.`,
    recovery: 'stop',
    cause: made,
  });
};
