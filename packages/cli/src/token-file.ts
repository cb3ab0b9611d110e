import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PluginError } from '@pipit/core';
import type { Session } from './session.js';

/** In the data folder, for commands of the same user on the same machine. */
export const locateToken = (dataFolder: string): string => join(dataFolder, 'token');

/** Keeps the first token where only this user reads it. */
export const writeToken = async (dataFolder: string, token: string): Promise<string> => {
  const path = locateToken(dataFolder);
  // Renamed into place, so that nobody reads half a token and an older file's wider mode is not kept.
  const fresh = `${path}.${process.pid}`;
  await writeFile(fresh, `${token}\n`, { mode: 0o600, flag: 'wx' });
  await chmod(fresh, 0o600);
  await rename(fresh, path);
  return path;
};

/** The token to show a server: `--token`, else PIPIT_TOKEN, else the data folder's; undefined when there is none (reading needs none). */
export const findToken = async ({ world, options }: Session, dataFolder: string | undefined): Promise<string | undefined> => {
  const given = options.token ?? world.environment.PIPIT_TOKEN;
  if (given !== undefined && given !== '') return given;
  if (dataFolder === undefined) return undefined;
  const path = locateToken(dataFolder);
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code; // Node's file calls throw nothing else
    if (code === 'ENOENT' || code === 'EACCES') return undefined;
    throw new PluginError({
      code: 'CLI_TOKEN_UNREADABLE',
      message: `The token in ${path} cannot be read (${code ?? 'unknown error'})`,
      hint: 'Give the token with --token or PIPIT_TOKEN.',
      recovery: 'stop',
      cause: error,
    });
  }
};
