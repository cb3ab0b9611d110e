import { randomUUID } from 'node:crypto';
import type { Config } from '@pipit/config';
import type { Logger } from '@pipit/core';
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
  type FolderFileStore,
  lockDataFolder,
  prepareDataFolder,
  prepareRecords,
  readAuditRights,
  startEmbeddedPostgres,
} from '@pipit/engine-dbos';
import type { Engine, Records, StepLogs } from '@pipit/pipeline';
import type { DisposalStack } from './disposal-stack.js';
import { systemClock } from './machine/system-clock.js';

/** Connections for records; and for what is held exclusively, and DBOS, each apart so that none starves another. */
const POOL_SIZES = { records: 10, exclusive: 8, engine: 10 } as const;

export interface Storage {
  readonly folder: DataFolder;
  readonly lock: DataFolderLock;
  readonly records: Records;
  readonly logs: StepLogs;
  readonly files: FolderFileStore;
  readonly engine: Engine;
  /** What the role that pipit works as in the database could do with the audit trail. */
  readAuditRights(): Promise<AuditRights>;
}

/** Opens everything that is kept: the data folder (locked), the database (embedded or external), the tables, the file store, the engine. */
export const openStorage = async (
  options: {
    readonly config: Pick<Config, 'database' | 'maxFileBytes'>;
    readonly dataFolder: string;
    readonly logger: Logger;
    readonly signal: AbortSignal;
  },
  disposal: DisposalStack,
): Promise<Storage> => {
  const { config, logger, signal } = options;
  const folder = await prepareDataFolder(options.dataFolder);
  const lock = await lockDataFolder({ dataFolder: folder.folder, clock: systemClock });
  disposal.push('data folder lock', () => lock.release());
  if (lock.unguarded !== undefined)
    logger.warn(
      { reason: lock.unguarded },
      'The data folder has no lock of the kernel: a server that is paused for long loses it to a second one',
    );
  let url = config.database?.url.reveal();
  let ownerUrl = config.database?.ownerUrl?.reveal();
  if (url === undefined) {
    const postgres = await startEmbeddedPostgres({ dataFolder: folder.folder, logger, signal });
    disposal.push('database', () => postgres.stop());
    url = postgres.url;
    ownerUrl = postgres.ownerUrl;
  }
  const open = (max: number) =>
    createPool({ url: url ?? '' }, { max, onError: (error) => logger.debug({ error: error.message }, 'Idle database connection lost') });
  const pools = { records: open(POOL_SIZES.records), exclusive: open(POOL_SIZES.exclusive), engine: open(POOL_SIZES.engine) };
  disposal.push('database connections', () => Promise.all([pools.exclusive.end(), pools.engine.end()]));
  const db = createKysely<unknown>(pools.records);
  disposal.push('records', () => db.destroy());
  await prepareRecords({ pool: pools.records, ownerUrl });
  // With one server a data folder, its own former self is what it takes over from at once; replicas on an external database need names of their own.
  const executorId = config.database === undefined ? 'embedded' : randomUUID();
  return {
    folder,
    lock,
    records: createPostgresRecords({ pool: pools.records, exclusivePool: pools.exclusive }),
    logs: createPostgresStepLogs({ db, pool: pools.records }),
    files: createFileStore({ folder: folder.files, clock: systemClock, maxFileBytes: config.maxFileBytes }),
    engine: createDbosEngine({ url, ...(ownerUrl === undefined ? {} : { ownerUrl }), pool: pools.engine, executorId, logger }),
    readAuditRights: () => readAuditRights(pools.records),
  };
};
