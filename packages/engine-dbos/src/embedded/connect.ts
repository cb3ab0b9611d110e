import pg from 'pg';
import { DATABASE_NAME } from './cluster.js';

/** Asks a database over its socket; undefined when it does not answer in time. */
export const askDatabase = async (options: {
  readonly socketFolder: string;
  readonly database: string;
  readonly sql: string;
  readonly withinMs: number;
}): Promise<readonly Record<string, unknown>[] | undefined> => {
  const client = new pg.Client({
    host: options.socketFolder,
    user: DATABASE_NAME,
    database: options.database,
    connectionTimeoutMillis: options.withinMs,
    query_timeout: options.withinMs,
  });
  client.on('error', () => undefined); // a cut connection shows in the query's own result
  try {
    await client.connect();
    return (await client.query<Record<string, unknown>>(options.sql)).rows;
  } catch {
    return undefined;
  } finally {
    // Not awaited: a postmaster that hangs would never say goodbye.
    client.end().catch(() => undefined);
  }
};
