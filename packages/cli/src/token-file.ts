import type { Session } from './session.js';

/**
 * The token to show a server: `--token`, else PIPIT_TOKEN, else what its own user finds in its data folder: the token of the process that runs
 * there, else the first one. Undefined when there is none that this user may read.
 */
export const findToken = async ({ world, options }: Session, dataFolder: string | undefined): Promise<string | undefined> => {
  const given = options.token ?? world.environment.PIPIT_TOKEN;
  if (given !== undefined && given !== '') return given;
  return dataFolder === undefined ? undefined : world.backend.readOwnToken(dataFolder);
};
