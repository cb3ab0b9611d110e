import { access } from 'node:fs/promises';
import { PluginError } from '@pipit/core';
import type { Api } from '@pipit/runtime';
import { locateDataFolder, locateTrustedConfig } from './config-file.js';
import type { Session } from './session.js';
import { findToken, givenToken } from './token-file.js';
import { announcePlugin, requireOwn } from './trust.js';

/** A pipit that can be asked: a running server, or one inside this process. */
export interface Connection {
  readonly api: Api;
  readonly mode: 'server' | 'embedded';
  /** The data folder; absent when a server was named by its address. */
  readonly dataFolder?: string;
  /** Lets an embedded pipit work on its runs; a server does so already. */
  begin(): Promise<void>;
  close(): Promise<void>;
}

export interface ConnectOptions {
  /** Whether an embedded pipit may make the data folder; default false. */
  readonly mayMakeData?: boolean;
}

const connectToServer = async (session: Session, url: string, dataFolder?: string): Promise<Connection> => ({
  api: await session.world.backend.openHttpApi({ url, token: await findToken(session, dataFolder) }),
  mode: 'server',
  ...(dataFolder === undefined ? {} : { dataFolder }),
  begin: async () => undefined,
  close: async () => undefined,
});

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

const openEmbedded = async (session: Session, dataFolder: string): Promise<Connection> => {
  const { world, logLevel, writeLog } = session;
  const configFile = await locateTrustedConfig(session);
  const runtime = await world.backend.openRuntime({
    configFile,
    dataFolder,
    environment: world.environment,
    logLevel,
    writeLog,
    beforePlugin: announcePlugin(session),
  });
  return {
    api: runtime.api({ name: `cli:${world.user}`, origin: 'cli' }),
    mode: 'embedded',
    dataFolder,
    begin: () => runtime.start(),
    close: () => runtime.stop(),
  };
};

/** Opens the server that `--server` names, else the one that serves the data folder, else a pipit inside this process. */
export const connect = async (session: Session, { mayMakeData = false }: ConnectOptions = {}): Promise<Connection> => {
  const { world, options } = session;
  const server = options.server ?? world.environment.PIPIT_SERVER;
  if (server !== undefined) return connectToServer(session, server);
  const dataFolder = await locateDataFolder(session);
  const owner = await world.backend.findServer(dataFolder);
  // The address comes out of this folder, and a token that is not out of it goes there.
  if (owner?.url !== undefined && givenToken(session) !== undefined) await requireOwn(session, dataFolder);
  if (owner?.url !== undefined) return connectToServer(session, owner.url, dataFolder);
  if (!mayMakeData && !(await exists(dataFolder)))
    throw new PluginError({
      code: 'CLI_NO_DATA',
      message: `There is no data of pipit in ${dataFolder} yet`,
      hint: 'Start pipit with `pipit serve`, or name the data folder of one that runs with --data FOLDER.',
      recovery: 'stop',
    });
  return openEmbedded(session, dataFolder);
};

/** Runs `work` with a connection, and closes it on every path. */
export const withConnection = async <T>(
  session: Session,
  work: (connection: Connection) => Promise<T>,
  options: ConnectOptions = {},
): Promise<T> => {
  const connection = await connect(session, options);
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
};

/** Refuses to wait for a run that nobody works on: looking at it must not begin to deploy. */
export const requireServer = ({ mode }: Connection, runId: string): void => {
  if (mode === 'server') return;
  throw new PluginError({
    code: 'CLI_NO_SERVER',
    message: `No server runs on this data folder, so run ${runId} does not move`,
    hint: 'Start one with `pipit serve`.',
    recovery: 'stop',
  });
};
