import pg from 'pg';
import { DATABASE_NAME, DATABASE_OWNER } from './cluster.js';

interface Question {
  readonly socketFolder: string;
  readonly database: string;
  readonly sql: string;
  readonly withinMs: number;
}

const askAs = async (user: string, { socketFolder, database, sql, withinMs }: Question) => {
  const client = new pg.Client({ host: socketFolder, user, database, connectionTimeoutMillis: withinMs, query_timeout: withinMs });
  client.on('error', () => undefined); // a cut connection shows in the query's own result
  try {
    await client.connect();
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } catch {
    return undefined;
  } finally {
    // Not awaited: a postmaster that hangs would never say goodbye.
    client.end().catch(() => undefined);
  }
};

/**
 * Asks a database over its socket, as its superuser; undefined when it does not answer in time. In a cluster of an earlier pipit, whose roles are
 * not yet divided, that is the role `pipit`.
 */
export const askDatabase = async (question: Question): Promise<readonly Record<string, unknown>[] | undefined> =>
  (await askAs(DATABASE_OWNER, question)) ?? (await askAs(DATABASE_NAME, question));
