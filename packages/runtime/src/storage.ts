import { randomUUID } from 'node:crypto';
import type { Config } from '@pipit/config';
import type { Logger, PluginError } from '@pipit/core';
import {
  type AuditRights,
  createDbosEngine,
  createFileStore,
  createKysely,
  createPool,
  createPostgresRecords,
  createPostgresStepLogs,
  type DataFolder,
  type DataFolderLock,
  type EmbeddedPostgres,
  type FolderFileStore,
  lockDataFolder,
  pingDatabase,
  prepareDataFolder,
  prepareRecords,
  readAuditRights,
  startEmbeddedPostgres,
} from '@pipit/engine-dbos';
import type { Engine, Records, StepLogs } from '@pipit/pipeline';
import { createDatabaseWatch, type DatabaseWatch } from './database-watch.js';
import type { DisposalStack } from './disposal-stack.js';
import { systemClock } from './machine/system-clock.js';
import type { WaitForDatabase } from './wait-for-database.js';

/** Connections for records; and for what is held exclusively, and DBOS, each apart so that none starves another. */
const POOL_SIZES = { records: 10, exclusive: 8, engine: 10 } as const;

/** A query that is under way ends in it, unless the database hangs. */
const DISCONNECT_WITHIN_MS = 3_000;
/** Under it, two looks that fail fit into the 10 s after which GitHub closes a delivery. */
const PING_WITHIN_MS = 2_000;

export interface Storage {
  readonly folder: DataFolder;
  readonly lock: DataFolderLock;
  readonly records: Records;
  readonly logs: StepLogs;
  readonly files: FolderFileStore;
  readonly engine: Engine;
  /** What the role that pipit works as in the database could do with the audit trail. */
  readAuditRights(): Promise<AuditRights>;
  readonly watch: DatabaseWatch;
}

/** Opens everything that is kept: the data folder (locked), the database (embedded or external), the tables, the file store, the engine. */
export const openStorage = async (
  options: {
    readonly config: Pick<Config, 'database' | 'maxFileBytes'>;
    readonly dataFolder: string;
    readonly logger: Logger;
    /** Does each piece that needs the database. */
    readonly wait: WaitForDatabase;
    /** Told when the database is given up. */
    readonly onGiveUp: (error: PluginError) => void;
  },
  disposal: DisposalStack,
): Promise<Storage> => {
  const { config, logger, wait, onGiveUp } = options;
  const folder = await prepareDataFolder(options.dataFolder);
  const lock = await lockDataFolder({ dataFolder: folder.folder, clock: systemClock });
  disposal.push('data folder lock', () => lock.release());
  if (lock.unguarded !== undefined)
    logger.warn(
      { reason: lock.unguarded },
      'The data folder has no lock of the kernel: a server that is paused for long loses it to a second one',
    );
  const { random } = Math;
  let postgres: EmbeddedPostgres | undefined;
  let url = config.database.url?.reveal();
  let ownerUrl = config.database.ownerUrl?.reveal();
  if (url === undefined) {
    const embedded = await wait((signal) => startEmbeddedPostgres({ dataFolder: folder.folder, logger, random, signal }));
    disposal.push('database', () => embedded.stop());
    url = embedded.url;
    ownerUrl = embedded.ownerUrl;
    postgres = embedded;
  }
  const address = url;
  const watch = createDatabaseWatch({
    ping: () => pingDatabase({ url: address, withinMs: PING_WITHIN_MS }),
    giveUpAfterMs: config.database.giveUpAfterMs,
    onGiveUp,
    logger,
    now: () => systemClock.now(),
    monotonicMs: () => performance.now(),
    random,
  });
  postgres?.onTrouble(watch.note);
  postgres?.onRestart(watch.lookNow);
  disposal.push('database watch', () => watch.stop());
  const open = (max: number) =>
    createPool({ url: address }, { max, onError: (error) => logger.debug({ error: error.message }, 'Idle database connection lost') });
  const pools = { records: open(POOL_SIZES.records), exclusive: open(POOL_SIZES.exclusive), engine: open(POOL_SIZES.engine) };
  disposal.push('database connections', () => Promise.all([pools.exclusive.end(), pools.engine.end()]), DISCONNECT_WITHIN_MS);
  const db = createKysely<unknown>(pools.records);
  disposal.push('records', () => db.destroy(), DISCONNECT_WITHIN_MS);
  await wait(() => prepareRecords({ pool: pools.records, ownerUrl }));
  // With one server a data folder, its own former self is what it takes over from at once; replicas on an external database need names of their own.
  const executorId = postgres !== undefined ? 'embedded' : randomUUID();
  return {
    folder,
    lock,
    records: createPostgresRecords({ pool: pools.records, exclusivePool: pools.exclusive }),
    logs: createPostgresStepLogs({ db, pool: pools.records }),
    files: createFileStore({ folder: folder.files, clock: systemClock, maxFileBytes: config.maxFileBytes }),
    watch,
    engine: createDbosEngine({ url: address, ...(ownerUrl === undefined ? {} : { ownerUrl }), pool: pools.engine, executorId, logger }),
    readAuditRights: () => readAuditRights(pools.records),
  };
};
