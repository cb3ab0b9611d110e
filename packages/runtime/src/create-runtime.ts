import { chmod } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BeforePlugin, type Config, checkCommonFormat } from '@pipit/config';
import { type Logger, type PluginError, parseCommitSha, requireStorable } from '@pipit/core';
import { appendAudit, type PipelineObserver } from '@pipit/pipeline';
import { createRedactor, createSandbox } from '@pipit/plugin-kit';
import { loadAuditKeys } from './audit/audit-key.js';
import { createHeadSigner } from './audit/head-signer.js';
import { createRememberedHead } from './audit/remembered-head.js';
import { createAuditHeads } from './audit/send-heads.js';
import { composePipeline, type Ground, parts } from './compose-pipeline.js';
import type { Container } from './container.js';
import { createApi } from './create-api.js';
import type { DatabaseAbsence } from './database-watch.js';
import { defaultDataFolder } from './default-data-folder.js';
import { createDisposalStack, type DisposalStack } from './disposal-stack.js';
import { createLogger, type LogLevel } from './machine/logger.js';
import { nodeFolders } from './machine/node-folders.js';
import { systemClock } from './machine/system-clock.js';
import { watchEventLoop } from './machine/watch-event-loop.js';
import { type Instances, setupInstances } from './plugins/instances.js';
import { receiveHook } from './plugins/receive-hook.js';
import { readHealth, readMetrics } from './read-health.js';
import { createRedactedLogs, createRedactedRecords } from './redact-stored.js';
import { ConfigError, resolveConfig } from './resolve-config.js';
import type { Runtime } from './runtime.js';
import type { GivenPlugin, RuntimeConfig } from './runtime-config.js';
import { openStorage } from './storage.js';
import { startFileSweep } from './sweep-files.js';
import { createLocalToken } from './tokens/local-token.js';
import { firstTokenFile } from './tokens/token-file.js';
import { createWaitForDatabase, type WaitForDatabase } from './wait-for-database.js';

/** How long a stop may take before what is under way is left to the next start. */
const STOP_DEADLINE_MS = 20_000;
const DISPOSE_DEADLINE_MS = 5_000;
/** Beyond the deadline of the operations: for the conductor's last move. */
const DRAIN_GRACE_MS = 5_000;

interface CommonOptions {
  /** Overrides the config's and the default. */
  readonly dataFolder?: string;
  /** What `{ $env }` refers to. Default: the process's environment. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Where plugins are looked for after the config file's folder: the folder of the program that brings them. Default: where this package is installed. */
  readonly pluginFolder?: string;
  /** Awaited before a plugin's code runs that is not of the installation; a throw keeps it from running. */
  readonly beforePlugin?: BeforePlugin;
  /** Default `info`. */
  readonly logLevel?: LogLevel;
  /** Where log lines go. Default: standard error. */
  readonly writeLog?: (line: string) => void;
  /** Told of every boundary of the pipeline; for tests and tracing. */
  readonly observer?: PipelineObserver;
  /** Ends the creation, which then rejects with its reason. Afterwards there is `stop`. */
  readonly signal?: AbortSignal;
  /** Whether the creation waits for a database that is away, for as long as `database.giveUpAfter` says. Default: it fails at once. */
  readonly waitForDatabase?: boolean;
  /** Called each time that the creation found the database away and goes on waiting. */
  readonly onDatabaseAway?: (absence: DatabaseAbsence) => void;
}

export type RuntimeOptions<Plugins extends Readonly<Record<string, GivenPlugin>>> = CommonOptions &
  ({ readonly configFile: string } | { readonly config: RuntimeConfig<Plugins> });

const checkFormats = (config: Config, instances: Instances): void => {
  const problems = Object.values(config.pipelines).flatMap((pipeline) => {
    const problem = checkCommonFormat(config, pipeline.name, {
      packager: instances.kindOf(pipeline.packager.use, 'packager').formats,
      repository: instances.kindOf(pipeline.repository.use, 'repository').formats,
      deployer: instances.kindOf(pipeline.deployer.use, 'deployer').formats,
    });
    return problem === undefined ? [] : [problem];
  });
  if (problems.length > 0) throw new ConfigError(problems);
};

const prepareGround = async (
  options: CommonOptions,
  config: Config,
  given: {
    readonly configFiles: readonly string[];
    readonly logger: Logger;
    readonly redactor: Ground['redactor'];
    readonly stopping: AbortSignal;
    readonly wait: WaitForDatabase;
    readonly onGiveUp: (error: PluginError) => void;
  },
  disposal: DisposalStack,
): Promise<Ground> => {
  const { configFiles, logger, redactor, stopping, wait, onGiveUp } = given;
  const dataFolder = options.dataFolder ?? config.dataFolder ?? defaultDataFolder(options.environment ?? process.env);
  const opened = await openStorage({ config, dataFolder, logger, wait, onGiveUp }, disposal);
  const storage = {
    ...opened,
    records: createRedactedRecords(opened.records, redactor),
    logs: createRedactedLogs(opened.logs, redactor),
  };
  const { memory, tasks, cpu, disk, files, fileSize } = config.sandbox.limits;
  const sandbox = await createSandbox({
    // The secrets' files too: without root, confined code has pipit's own uid outside.
    hidden: [storage.folder.folder, ...configFiles],
    ...nodeFolders(config.sandbox.readable),
    limits: { memoryBytes: memory, tasks, cpu, diskBytes: disk, files, fileBytes: fileSize },
    network: { mode: config.sandbox.network, allow: config.sandbox.allow },
    trusted: config.trustRepositories,
    signal: stopping,
  });
  // Without namespaces, confined code has to pass through this folder to reach its own.
  if (sandbox.mode === 'user') await chmod(storage.folder.folder, 0o711);
  const { host, port, publicUrl } = config.server;
  const base = publicUrl ?? `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const hookUrlOf = (instance: string): string => `${base}/hooks/${instance}`;
  const instances = await setupInstances({ config, instanceFolder: storage.folder.instance, logger, sandbox, hookUrlOf });
  disposal.push('plugins', () => instances.dispose(DISPOSE_DEADLINE_MS));
  checkFormats(config, instances);
  const keysFolder = storage.folder.keys;
  const keys = await loadAuditKeys({ config: config.audit, keysFolder, hide: (secret) => redactor.register(secret) });
  const signer = createHeadSigner({ records: storage.records, keys, remembered: createRememberedHead(keysFolder), clock: systemClock });
  const heads = createAuditHeads({ signer, config, instances, logger, stopping });
  disposal.push('audit heads', () => heads.stop());
  return { config, signer, heads, storage, instances, sandbox, redactor, logger, observer: options.observer ?? {}, hookUrlOf, stopping };
};

/**
 * Composes a pipit from one config, a file or an object. Nothing is under way until {@link Runtime.start}.
 *
 * @throws ConfigError with every problem of the config; PluginErrors of the data folder, the database, the sandbox and the plugins' setup
 */
export const createRuntime = async <const Plugins extends Readonly<Record<string, GivenPlugin>>>(
  options: RuntimeOptions<Plugins>,
): Promise<Runtime> => {
  const redactor = createRedactor();
  const environment = options.environment ?? process.env;
  const writeLog = options.writeLog ?? ((line: string) => process.stderr.write(line));
  const logger = createLogger({ level: options.logLevel ?? 'info', redactor, write: writeLog });
  const configFiles: string[] = [];
  const { config, warnings } = await resolveConfig('configFile' in options ? options : { config: options.config }, {
    environment,
    redactor,
    onFile: (path) => configFiles.push(path),
    ...(options.pluginFolder === undefined ? {} : { pluginFolder: options.pluginFolder }),
    ...(options.beforePlugin === undefined ? {} : { beforePlugin: options.beforePlugin }),
  });
  for (const warning of warnings) logger.warn({ file: warning.file, line: warning.line, code: warning.code }, warning.message);
  const stopping = new AbortController();
  const disposal = createDisposalStack(logger);
  const patience = { logger, random: Math.random };
  const wait = createWaitForDatabase({
    ...patience,
    giveUpAfterMs: options.waitForDatabase ? config.database.giveUpAfterMs : 0,
    onAway: (absence) => options.onDatabaseAway?.({ ...absence, reason: redactor.redact(absence.reason) }),
    signal: options.signal ?? stopping.signal,
  });
  try {
    let giveUp = (_error: PluginError): void => undefined;
    const failed = new Promise<PluginError>((resolve) => {
      giveUp = resolve;
    });
    const given = { logger, redactor, configFiles, stopping: stopping.signal, wait, onGiveUp: (error: PluginError) => giveUp(error) };
    const ground = await prepareGround(options, config, given, disposal);
    const container = composePipeline(ground);
    const firstToken = await wait(() => container.get(parts.tokens).ensureFirst(firstTokenFile(ground.storage.folder.folder)));
    if (firstToken !== undefined) redactor.register(firstToken);
    const waitAtStart = () => createWaitForDatabase({ ...patience, giveUpAfterMs: config.database.giveUpAfterMs, signal: stopping.signal });
    return buildRuntime({ ground, container, disposal, stopping, firstToken, failed, waitAtStart });
  } catch (error) {
    await disposal.dispose();
    throw error;
  }
};

/** A container may run as a user without a name. */
const userName = (): string => {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
};

const buildRuntime = ({
  ground,
  container,
  disposal,
  stopping,
  firstToken,
  failed,
  waitAtStart,
}: {
  readonly ground: Ground;
  readonly container: Container;
  readonly disposal: DisposalStack;
  readonly stopping: AbortController;
  readonly firstToken: string | undefined;
  readonly failed: Promise<PluginError>;
  readonly waitAtStart: () => WaitForDatabase;
}): Runtime => {
  const { storage, config, instances, logger } = ground;
  const { records, lock, folder } = storage;
  const localToken = createLocalToken(folder.folder);
  ground.redactor.register(localToken.token);
  disposal.push('local token', () => localToken.remove());
  let stopped: Promise<void> | undefined;

  const drain = async (deadlineMs: number): Promise<void> => {
    await container.get(parts.poller).stop();
    await container.get(parts.conductor).stop();
    stopping.abort();
    await container.get(parts.engine).stop(deadlineMs);
  };

  return {
    config,
    dataFolder: folder.folder,
    firstToken,
    tokenFile: firstTokenFile(folder.folder),
    failed,
    start: async () => {
      storage.watch.start();
      const wait = waitAtStart();
      await wait(() => ground.signer.announce());
      ground.heads.start();
      await wait(() => container.get(parts.sources).removeLeftovers());
      await wait(() => container.get(parts.effects).removeUnknownFolders());
      await wait(() => container.get(parts.quarantine).check());
      disposal.push('file sweep', startFileSweep(storage, logger));
      const unwatch = watchEventLoop({ logger });
      disposal.push('event loop watch', async () => unwatch());
      if ((await wait(() => container.get(parts.quarantine).read())) === null) await wait(() => container.get(parts.engine).start([]));
      container.get(parts.conductor).start();
      container.get(parts.poller).start();
    },
    stop: ({ deadlineMs = STOP_DEADLINE_MS } = {}) => {
      stopped ??= (async () => {
        // A query to a database that hangs ends with its connection, which is cut below.
        const late = sleep(deadlineMs + DRAIN_GRACE_MS, undefined, { ref: false }).then(() => logger.warn({}, 'Not drained in time'));
        const drained = drain(deadlineMs).catch((error: unknown) => logger.warn({ error }, 'Not drained cleanly'));
        await Promise.race([drained, late]);
        await disposal.dispose();
      })();
      return stopped;
    },
    receive: async (instance, request) => {
      // A database that hangs answers nothing; the sender shall know in time that it has to send again.
      const answered = new AbortController();
      try {
        return await Promise.race([
          receiveHook({ instances, intake: container.get(parts.intake), logger, signal: stopping.signal }, instance, request),
          storage.watch.untilAway(answered.signal),
        ]);
      } finally {
        answered.abort();
      }
    },
    submit: async (request, actor) => {
      requireStorable({ ...request, actor }, 'the change');
      const { repository, ref, sha, before, author, key } = request;
      const parsed = sha === null ? null : parseCommitSha(sha);
      const event = {
        key: key ?? `submit:${repository.id}:${ref}:${before ?? ''}:${sha ?? ''}`,
        repository,
        ref,
        sha: parsed,
        ...(before === undefined ? {} : { before: parseCommitSha(before) }),
        ...(author === undefined ? {} : { author }),
      };
      const pipeline = Object.values(config.pipelines)[0];
      return container
        .get(parts.intake)
        .accept({ instance: pipeline?.trigger.use ?? 'library', actor, inbound: { type: 'change', event } });
    },
    api: (actor) => createApi(ground, container, actor),
    health: () => {
      const absence = storage.watch.absence();
      return readHealth({
        readQuarantine: () => container.get(parts.quarantine).read(),
        stopping: stopping.signal.aborted,
        ...(absence === undefined ? {} : { absence: { ...absence, reason: ground.redactor.redact(absence.reason) } }),
      });
    },
    checkToken: async (token) => {
      if (localToken.isRight(token)) return { valid: true, actor: `local:${userName()}`, preset: 'admin' };
      const checked = await container.get(parts.tokens).check(token);
      if (!checked.valid) return checked;
      // Only its hash is kept, so this is how a process learns what it must never show.
      ground.redactor.register(token);
      return { valid: true, actor: `token:${checked.name}`, preset: checked.preset };
    },
    recordRefusal: async ({ instance, remoteAddress, code, message }) => {
      await records.transaction((transaction) =>
        appendAudit(transaction, {
          at: new Date(),
          actor: { name: instance, origin: remoteAddress },
          action: 'hook.refuse',
          subject: instance,
          detail: { code, message: ground.redactor.redact(message) },
        }),
      );
    },
    announce: async (url) => {
      await localToken.publish();
      await lock.recordUrl(url);
    },
    readMetrics: () => readMetrics(records),
  };
};
