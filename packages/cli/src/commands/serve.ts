import { join } from 'node:path';
import type { Config } from '@pipit/config';
import type { Runtime } from '@pipit/runtime';
import type { Command } from 'commander';
import { addExamples, type Launch } from '../command-line.js';
import { locateDataFolder, locateTrustedConfig, readConfig } from '../config-file.js';
import { EXIT } from '../exit-codes.js';
import type { Session } from '../session.js';
import { announcePlugin } from '../trust.js';

/** Programs that make what hosts read (aptly, Freight) take their modes from it: 0644 and 0755. */
const UMASK = 0o022;

interface Started {
  readonly url: string;
  readonly dataFolder: string;
  /** Only when it was made just now. */
  readonly token: string | undefined;
  readonly tokenFile: string;
}

const announce = (session: Session, { url, dataFolder, token, tokenFile }: Started): void => {
  const { paint } = session;
  session.show({ url, dataFolder, tokenFile, ...(token === undefined ? {} : { token }) }, () => [
    `${paint.green('✓')} pipit serves ${paint.bold(url)}, data in ${dataFolder}`,
    ...(token === undefined
      ? ['', '  Commands of this user here need no token; others: pipit token create.']
      : [
          '',
          `  Token, shown this once: ${paint.bold(token)}`,
          `  It may do everything, and is kept in ${tokenFile}. Others: pipit token create.`,
        ]),
    '',
    '  pipit doctor       is everything ready?',
    '  pipit apps         what each ring runs',
    '  git push           starts a run; then: pipit runs',
    '  Ctrl-C             ends it: what is under way goes on after the next start',
  ]);
};

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

const addressOf = ({ server: { host, port } }: Config): { readonly host: string; readonly port: number } => ({ host, port });

/** What is under way cannot be recorded without a database, so nothing is gained by waiting for it. */
const FAILED_STOP_MS = 1_000;

/** Rejects when the runtime cannot go on. */
const failure = async (runtime: Runtime): Promise<never> => {
  throw await runtime.failed;
};

const serve = async (session: Session, runtime: Runtime): Promise<void> => {
  const { world, logger } = session;
  const { config, dataFolder, firstToken, tokenFile } = runtime;
  if (firstToken !== undefined) session.hide(firstToken);
  const { metrics, public: publicViews, ...settings } = config.server;
  const server = await world.backend.openServer({
    runtime,
    ...settings,
    metricsReaders: metrics.allow,
    publicViews,
    logger,
    version: world.version,
  });
  // Listens first: when the port is taken, nothing has begun yet.
  const { url } = await server.listen();
  try {
    // All paths of the config are absolute by now.
    await world.enterEmptyFolder(join(dataFolder, 'run', 'empty'));
    const aborted = untilAborted(session.signal);
    // A start may wait for the database; the server answers meanwhile, and signals count.
    await Promise.race([runtime.start(), aborted, failure(runtime)]);
    if (!session.signal.aborted) announce(session, { url, dataFolder, token: firstToken, tokenFile });
    await Promise.race([aborted, failure(runtime)]);
    session.note('Stopping: no new step begins. Once more ends it at once.');
  } finally {
    await server.close();
  }
};

export const addServeCommand = (program: Command, launch: Launch): void => {
  const command = program
    .command('serve')
    .description('start pipit: webhooks, API, and the work on runs, until SIGTERM or Ctrl-C (a second one ends it at once)');
  addExamples(command, [
    { run: 'pipit serve', what: 'with pipit.config.yaml of this folder' },
    { run: 'pipit serve --config /etc/pipit/pipit.config.yaml --data /var/lib/pipit', what: 'as a service' },
  ]);
  launch(
    command,
    async (session) => {
      const { world, logLevel, writeLog } = session;
      // Nobody else may write what is made here; what nobody else may read is made with a mode of its own.
      world.setUmask(UMASK);
      // The runtime reads it again and refuses a wrong one; read here so that the server's log lines are without its secrets.
      const read = await readConfig(session);
      const waiting = read.ok ? await world.backend.openWaitingServer({ ...addressOf(read.config), version: world.version }) : undefined;
      const dataFolder = await locateDataFolder(session);
      const opening = world.backend.openRuntime({
        configFile: await locateTrustedConfig(session),
        dataFolder,
        environment: world.environment,
        logLevel,
        writeLog,
        beforePlugin: announcePlugin({ ...session, options: { ...session.options, quiet: true } }),
        signal: session.signal,
        waitForDatabase: true,
        onDatabaseAway: (absence) => void waiting?.show(absence),
      });
      const runtime = await opening
        .catch((error: unknown) => {
          // Ended while it waited for its database: that is a clean end too.
          if (session.signal.aborted) return undefined;
          throw error;
        })
        .finally(() => waiting?.close());
      if (runtime === undefined) return EXIT.ok;
      let deadline: Parameters<Runtime['stop']>[0];
      try {
        await serve(session, runtime);
      } catch (error) {
        deadline = { deadlineMs: FAILED_STOP_MS };
        throw error;
      } finally {
        await runtime.stop(deadline);
      }
      return EXIT.ok;
    },
    { logLevel: 'info' },
  );
};
