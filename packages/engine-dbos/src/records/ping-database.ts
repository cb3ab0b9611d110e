import { Client } from 'pg';
import { mapDatabaseError } from './database-errors.js';

/**
 * Opens a connection, gets an answer and closes it: apart from every pool, so that neither a connection that is already there nor one that is missing
 * hides how the database is.
 *
 * @throws PluginError `DATABASE_UNAVAILABLE` (retry), or what the database refuses
 */
export const pingDatabase = async ({ url, withinMs }: { readonly url: string; readonly withinMs: number }): Promise<void> => {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: withinMs, query_timeout: withinMs });
  client.on('error', () => undefined); // a cut connection shows in the query's own result
  try {
    await client.connect();
    await client.query('select 1');
  } catch (error) {
    throw mapDatabaseError(error);
  } finally {
    // Not awaited: a database that hangs would never say goodbye.
    client.end().catch(() => undefined);
  }
};
