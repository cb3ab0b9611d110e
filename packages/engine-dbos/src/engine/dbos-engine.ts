import { AsyncLocalStorage } from 'node:async_hooks';
import { DBOS } from '@dbos-inc/dbos-sdk';
import { type Json, type Logger, PluginError } from '@pipit/core';
import { type Engine, type EngineState, type OperationCode, OperationInterrupted } from '@pipit/pipeline';
import type { Pool } from 'pg';
import { mapDatabaseError } from '../records/database-errors.js';
import { createLeases } from './leases.js';

/** The same for every release: operations carry versions of their own, so any pipit may take over what any other began. */
const APPLICATION_VERSION = 'pipit';
const SCHEMA = 'dbos';
/** Restarts may be many (a crash loop of the machine); giving up an operation is the pipeline's decision alone. */
const MAX_RECOVERY_ATTEMPTS = 1_000_000;

export interface DbosEngineOptions {
  readonly url: string;
  /** Used by DBOS; closed by its owner. */
  readonly pool: Pool;
  /** This process: another one that lives must have another. */
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

/** Never settles: what waits for it is left as it stands, unrecorded, and goes on after the next start. */
const parked = <T>(): Promise<T> => new Promise<T>(() => undefined);

/** Operations on DBOS: each step's value is a row in PostgreSQL before the next step begins. */
export const createDbosEngine = ({ url, pool, executorId, logger }: DbosEngineOptions): Engine => {
  const workflows = new Map<string, (id: string, input: Json) => Promise<void>>();
  /** Operations whose code runs in this process. */
  const running = new Set<string>();
  const leases = createLeases({ pool, executorId, schema: SCHEMA, applicationVersion: APPLICATION_VERSION });
  /** DBOS takes what is started within an operation for its child, recorded among its steps; an operation's end may well wake the next one. */
  const outsideOperations = AsyncLocalStorage.snapshot();
  let stopping = false;
  let onIdle: (() => void) | undefined;

  const leave = (id: string): void => {
    running.delete(id);
    if (running.size === 0) onIdle?.();
  };

  /** Leaves the operation where it is: its coroutine waits for ever, and is forgotten with the process. */
  const park = <T>(id: string): Promise<T> => {
    leave(id);
    return parked<T>();
  };

  const register = (code: OperationCode): void => {
    const body = async (id: string, input: Json): Promise<void> => {
      if (stopping) return park(id);
      running.add(id);
      try {
        await code.run(id, input, {
          step: (name, work) =>
            stopping
              ? park(id)
              : DBOS.runStep(
                  async () => {
                    try {
                      return await work();
                    } catch (error) {
                      // Anything thrown here would be recorded for good; an interruption must not be.
                      if (error instanceof OperationInterrupted || stopping) return park<Awaited<ReturnType<typeof work>>>(id);
                      throw error;
                    }
                  },
                  { name },
                ),
        });
      } catch (error) {
        if (error instanceof OperationInterrupted || stopping) return park(id);
        throw error;
      } finally {
        leave(id);
      }
    };
    workflows.set(nameOf(code), DBOS.registerWorkflow(body, { name: nameOf(code), maxRecoveryAttempts: MAX_RECOVERY_ATTEMPTS }));
  };

  return {
    start: async (codes) => {
      if (engineInProcess) throw new Error('another engine runs in this process');
      engineInProcess = true;
      for (const code of codes) register(code);
      // Replicas that start together on an empty database deadlock in DBOS's own migrations.
      await leases.migrateAlone(() => DBOS.migrate(url, { schemaName: SCHEMA }));
      DBOS.setConfig({
        name: 'pipit',
        systemDatabaseUrl: url,
        systemDatabasePool: pool,
        systemDatabaseSchemaName: SCHEMA,
        applicationVersion: APPLICATION_VERSION,
        executorID: executorId,
        runAdminServer: false,
        runMigrations: false,
        logLevel: 'error',
      });
      await leases.renew();
      await DBOS.launch();
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
      if (stopping) return;
      try {
        await outsideOperations(() => DBOS.startWorkflow(workflow, { workflowID: id })(id, input));
      } catch (error) {
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
      if (stopping) return;
      try {
        await leases.renew();
        const taken = await leases.takeOver(running);
        if (taken.length > 0) logger.warn({ operations: taken }, 'Took over operations that nobody executed');
      } catch (error) {
        throw mapDatabaseError(error);
      }
    },
    stop: async (deadlineMs) => {
      if (stopping) return;
      stopping = true;
      const idle = new Promise<void>((resolve) => {
        onIdle = resolve;
        if (running.size === 0) resolve();
      });
      const deadline = new Promise<void>((resolve) => setTimeout(resolve, deadlineMs).unref());
      await Promise.race([idle, deadline]);
      await DBOS.shutdown({ deregister: true, workflowCompletionTimeoutMS: 0 }).catch((error: unknown) =>
        logger.warn({ error }, 'Engine not shut down cleanly'),
      );
      await leases.release().catch(() => undefined);
      engineInProcess = false;
    },
  };
};
