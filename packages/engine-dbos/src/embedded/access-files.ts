import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { PluginError } from '@pipit/core';
import { DATABASE_NAME, DATABASE_OWNER } from './cluster.js';

/** PostgreSQL's two files that say who may connect as whom. Outside of the cluster, so that the database's own user cannot change them. */
export interface AccessFiles {
  readonly hba: string;
  readonly ident: string;
}

const ownName = (): string => {
  try {
    return userInfo().username;
  } catch (cause) {
    throw new PluginError({
      code: 'DATABASE_USER_NAMELESS',
      message: `The uid ${process.getuid?.() ?? ''} that pipit runs as has no name, so the database cannot tell who connects`,
      hint: 'Give it an entry in /etc/passwd, or give database.url to use a PostgreSQL of your own.',
      recovery: 'stop',
      cause,
    });
  }
};

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const write = async (path: string, text: string): Promise<string> => {
  if ((await readFile(path, 'utf8').catch(() => '')) === text) return path;
  await writeFile(`${path}.new`, text);
  // Nothing in it is secret, and the database's own user has to read it.
  await chmod(`${path}.new`, 0o644);
  await rename(`${path}.new`, path);
  return path;
};

/**
 * Lets pipit's own user and root connect, and nobody else: the kernel tells PostgreSQL which user is at the other end of its socket (`peer`).
 *
 * @throws PluginError `DATABASE_USER_NAMELESS` (stop)
 */
export const writeAccessFiles = async (runFolder: string): Promise<AccessFiles> => {
  const people = [...new Set(['root', ownName()])];
  const roles = [DATABASE_NAME, DATABASE_OWNER];
  const map = people.flatMap((person) => roles.map((role) => `pipit ${quote(person)} ${quote(role)}\n`));
  return {
    hba: await write(join(runFolder, 'pg_hba.conf'), `local all ${roles.map(quote).join(',')} peer map=pipit\n`),
    ident: await write(join(runFolder, 'pg_ident.conf'), map.join('')),
  };
};
