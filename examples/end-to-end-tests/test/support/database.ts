import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';

type Row = Readonly<Record<string, unknown>>;

/** The embedded database's socket, as PostgreSQL itself records it (line 5), and its postmaster (line 1). */
export const readPostmaster = async (dataFolder: string): Promise<{ readonly pid: number; readonly socketFolder: string }> => {
  const lines = (await readFile(join(dataFolder, 'postgres/data/postmaster.pid'), 'utf8')).split('\n');
  return { pid: Number(lines[0]), socketFolder: lines[4] ?? '' };
};

/** Looks into an installation's database from outside, whether its server runs or was killed; as pipit does, or as its superuser. */
export const query = async (
  dataFolder: string,
  sql: string,
  values: readonly unknown[] = [],
  role: 'pipit' | 'pipit_owner' = 'pipit',
): Promise<readonly Row[]> => {
  const { socketFolder } = await readPostmaster(dataFolder);
  const client = new pg.Client({ host: socketFolder, user: role, database: 'pipit' });
  client.on('error', () => undefined); // a cut connection shows in the query's own result
  await client.connect();
  try {
    return (await client.query<Row>(sql, [...values])).rows;
  } finally {
    await client.end();
  }
};
