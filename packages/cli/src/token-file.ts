import type { Session } from './session.js';

/** `--token`, else PIPIT_TOKEN. */
export const givenToken = ({ world, options }: Session): string | undefined => {
  const given = options.token ?? world.environment.PIPIT_TOKEN;
  return given === '' ? undefined : given;
};

/**
 * The token to show a server: `--token`, else PIPIT_TOKEN, else what its own user finds in its data folder: the token of the process that runs
 * there, else the first one. Undefined when there is none that this user may read.
 */
export const findToken = async (session: Session, dataFolder: string | undefined): Promise<string | undefined> =>
  givenToken(session) ?? (dataFolder === undefined ? undefined : session.world.backend.readOwnToken(dataFolder));
