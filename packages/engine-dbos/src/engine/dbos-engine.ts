import { AsyncLocalStorage } from 'node:async_hooks';
import { DBOS, Error as DbosErrors } from '@dbos-inc/dbos-sdk';
import { type Json, type Logger, PluginError } from '@pipit/core';
import type { Engine, EngineState, OperationCode } from '@pipit/pipeline';
import type { Pool } from 'pg';
import { asOwner } from '../records/as-owner.js';
import { isDatabaseAway, mapDatabaseError } from '../records/database-errors.js';
import { grantEngine } from '../records/grant-rights.js';
import { createKysely } from '../records/open-database.js';
import { migrateDbos, tuneDbos } from './dbos-internals.js';
import { createDbosLogger } from './dbos-logger.js';
import { createLeases, HEARTBEAT_MS } from './leases.js';
import { createRunningOperations } from './running-operations.js';

/** The same for every release: operations carry versions of their own, so any pipit may take over what any other began. */
const APPLICATION_VERSION = 'pipit';
const SCHEMA = 'dbos';
/** Restarts may be many (a crash loop of the machine); giving up an operation is the pipeline's decision alone. */
const MAX_RECOVERY_ATTEMPTS = 1_000_000;

export interface DbosEngineOptions {
  readonly url: string;
  /** Who makes DBOS's tables. Default: the role of `url` itself. */
  readonly ownerUrl?: string;
  /** Used by DBOS; closed by its owner. */
  readonly pool: Pool;
  /** This process: another one that lives must have another. One that keeps its id over restarts goes on with its own operations at once. */
  readonly executorId: string;
  readonly logger: Logger;
}

/** DBOS keeps its registry in the process: one engine at a time. */
let engineInProcess = false;

const nameOf = (code: { readonly type: string; readonly version: number }): string => `${code.type}.v${code.version}`;

const stateOf = (status: string | undefined, error: unknown): EngineState => {
  switch (status) {
    case undefined:
      return { state: 'unknown' };
    case 'PENDING':
    case 'ENQUEUED':
    case 'DELAYED':
      return { state: 'unfinished' };
    case 'SUCCESS':
      return { state: 'finished' };
    default:
      return { state: 'broken', reason: error instanceof Error ? error.message : status };
  }
};

/** An error of PostgreSQL itself has the five characters of an SQLSTATE. */
const isFromDatabase = (error: unknown): boolean =>
  isDatabaseAway(error) || (error instanceof Error && 'code' in error && /^[0-9A-Z]{5}$/.test(String(error.code)) && 'severity' in error);

const judgeEngineError = (error: unknown): 'misfit' | 'lost' | 'own' => {
  if (error instanceof DbosErrors.DBOSWorkflowConflictError || isFromDatabase(error)) return 'lost';
  return error instanceof DbosErrors.DBOSUnexpectedStepError || error instanceof DbosErrors.DBOSStepNondeterminismError ? 'misfit' : 'own';
};

/** Operations on DBOS: each step's value is a row in PostgreSQL before the next step begins. `migrateRecords` has made the table of replicas. */
export const createDbosEngine = ({ url, ownerUrl, pool, executorId, logger }: DbosEngineOptions): Engine => {
  const workflows = new Map<string, (id: string, input: Json) => Promise<void>>();
  const createOperations = () => createRunningOperations({ record: (name, work) => DBOS.runStep(work, { name }), judge: judgeEngineError });
  let operations = createOperations();
  const leases = createLeases({
    pool,
    executorId,
    schema: SCHEMA,
    applicationVersion: APPLICATION_VERSION,
    names: () => [...workflows.keys()],
    running: () => operations.ids(),
    monotonicMs: () => performance.now(),
  });
  /** DBOS takes what is started within an operation for its child, recorded among its steps; an operation's end may well wake the next one. */
  const outsideOperations = AsyncLocalStorage.snapshot();
  let heartbeat: NodeJS.Timeout | undefined;
  let stopped: Promise<void> | undefined;

  const register = (code: OperationCode): void => {
    const body = (id: string, input: Json): Promise<void> => operations.run(id, (context) => code.run(id, input, context));
    workflows.set(nameOf(code), DBOS.registerWorkflow(body, { name: nameOf(code), maxRecoveryAttempts: MAX_RECOVERY_ATTEMPTS }));
  };

  /** Apart from the sweep, which waits for moves of runs: a replica that fetches a large repository is not dead. */
  const keepAlive = (): void => {
    heartbeat = setInterval(() => {
      leases.renew().catch((error: unknown) => logger.debug({ error: String(error) }, 'Heartbeat lost'));
    }, HEARTBEAT_MS);
    heartbeat.unref();
  };

  const stop = async (deadlineMs: number): Promise<void> => {
    await operations.stop(deadlineMs);
    clearInterval(heartbeat);
    await DBOS.shutdown({ deregister: true, workflowCompletionTimeoutMS: 0 }).catch((error: unknown) =>
      logger.warn({ error }, 'Engine not shut down cleanly'),
    );
    await leases.release().catch(() => undefined);
    engineInProcess = false;
  };

  return {
    start: async (codes) => {
      if (engineInProcess) throw new Error('another engine runs in this process');
      engineInProcess = true;
      try {
        for (const code of codes) register(code);
        const dbosLogger = createDbosLogger(logger);
        // Replicas that start together on an empty database deadlock in DBOS's own migrations.
        await leases.migrateAlone(() =>
          asOwner({ pool, ownerUrl }, async (owner, role) => {
            await migrateDbos({ url: ownerUrl ?? url, pool: owner, schema: SCHEMA, logger: dbosLogger });
            if (role !== undefined) await grantEngine(createKysely(owner), SCHEMA, role);
          }),
        );
        tuneDbos();
        DBOS.setConfig({
          name: 'pipit',
          systemDatabaseUrl: url,
          systemDatabasePool: pool,
          systemDatabaseSchemaName: SCHEMA,
          applicationVersion: APPLICATION_VERSION,
          executorID: executorId,
          runMigrations: false,
          useListenNotify: false,
          logger: dbosLogger,
        });
        await leases.renew();
        await DBOS.launch();
        keepAlive();
      } catch (error) {
        await stop(0);
        // What is stopped begins nothing any more, and the next start shall.
        operations = createOperations();
        throw mapDatabaseError(error);
      }
      logger.debug({ executorId }, 'Engine started');
    },
    submit: async ({ id, type, version, input }) => {
      const workflow = workflows.get(nameOf({ type, version }));
      if (workflow === undefined)
        throw new PluginError({
          code: 'OPERATION_CODE_MISSING',
          message: `This pipit has no code for ${type} version ${version}`,
          hint: 'Run the release of pipit that began it until it has ended, then upgrade.',
          recovery: 'stop',
        });
      if (stopped !== undefined) return;
      try {
        await outsideOperations(() => DBOS.startWorkflow(workflow, { workflowID: id })(id, input));
      } catch (error) {
        // Submitted before, as another version: that one runs.
        if (error instanceof DbosErrors.DBOSConflictingWorkflowError) return;
        throw mapDatabaseError(error);
      }
    },
    inspect: async (id) => {
      try {
        const status = await outsideOperations(() => DBOS.getWorkflowStatus(id));
        return stateOf(status?.status, status?.error);
      } catch (error) {
        throw mapDatabaseError(error);
      }
    },
    sweep: async () => {
      if (stopped !== undefined) return;
      try {
        await leases.renew();
        const taken = await leases.takeOver();
        if (taken.length > 0) logger.warn({ operations: taken }, 'Took over operations that nobody executed');
      } catch (error) {
        throw mapDatabaseError(error);
      }
    },
    stop: async (deadlineMs) => {
      stopped ??= stop(deadlineMs);
      await stopped;
    },
  };
};
