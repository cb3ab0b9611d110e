import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Kysely } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';
import {
  createKysely,
  createPool,
  type EmbeddedPostgres,
  migrateRecords,
  prepareDataFolder,
  startEmbeddedPostgres,
} from '../../src/index.js';
import { quietLogger } from './quiet-logger.js';

export interface Databases {
  readonly server: EmbeddedPostgres;
  /** The URL of a new, empty database. It goes with the server: dropping one costs a checkpoint. */
  fresh(): Promise<string>;
  /** The same with pipit's tables. */
  migrated(): Promise<string>;
}

export const urlOf = (server: EmbeddedPostgres, database: string): string =>
  `postgresql://pipit_owner@localhost/${database}?host=${encodeURIComponent(server.socketFolder)}`;

/** One PostgreSQL for all tests of a file. */
export const useDatabases = (): Databases => {
  let folder: string;
  let server: EmbeddedPostgres;
  let count = 0;
  beforeAll(async () => {
    folder = await mkdtemp('/tmp/pipit-edb-shared-');
    const { chmod } = await import('node:fs/promises');
    await chmod(folder, 0o711);
    const dataFolder = join(folder, 'data');
    await prepareDataFolder(dataFolder);
    server = await startEmbeddedPostgres({ dataFolder, logger: quietLogger });
    await run('create database migrated');
    await (await openDatabase(urlOf(server, 'migrated'))).close();
  }, 120_000);
  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  });
  const run = async (statement: string): Promise<void> => {
    const client = new pg.Client({ connectionString: urlOf(server, 'postgres') });
    await client.connect();
    await client.query(statement).finally(() => client.end());
  };
  const create = async (template: string): Promise<string> => {
    count += 1;
    await run(`create database test_${count} template ${template}`);
    return urlOf(server, `test_${count}`);
  };
  return {
    get server() {
      return server;
    },
    fresh: () => create('template0'),
    migrated: () => create('migrated'),
  };
};

export interface OpenDatabase {
  readonly db: Kysely<unknown>;
  readonly pool: pg.Pool;
  readonly exclusivePool: pg.Pool;
  close(): Promise<void>;
}

/** Pools on a database, with pipit's tables. */
export const openDatabase = async (url: string): Promise<OpenDatabase> => {
  const [pool, exclusivePool] = [
    createPool({ url }, { max: 6, onError: () => undefined }),
    createPool({ url }, { max: 3, onError: () => undefined }),
  ];
  const db = createKysely<unknown>(pool);
  await migrateRecords(db);
  let closing: Promise<unknown> | undefined;
  return {
    db,
    pool,
    exclusivePool,
    close: async () => {
      closing ??= Promise.all([db.destroy(), exclusivePool.end()]);
      await closing;
    },
  };
};
