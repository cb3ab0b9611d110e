import { PluginError } from '@pipit/core';
import pg from 'pg';
import { DATABASE_NAME, DATABASE_OWNER } from './cluster.js';

const WITHIN_MS = 30_000;

const connectAs = async (user: string, socketFolder: string): Promise<pg.Client> => {
  const client = new pg.Client({ host: socketFolder, user, database: 'postgres', connectionTimeoutMillis: WITHIN_MS });
  client.on('error', () => undefined); // a cut connection shows in the query's own result
  await client.connect();
  return client;
};

/** invalid_authorization_specification: there is no such role. Source: PostgreSQL's appendix A. */
const isNoRole = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === '28000';

/**
 * In a cluster of an earlier pipit its own role is the superuser, who cannot stop being it: that one is renamed to the owner, all at once. Nobody can
 * rename himself, so another superuser does it, who exists for this transaction alone.
 */
const DIVIDE = `begin;
  create role pipit_upgrade superuser;
  set local session authorization pipit_upgrade;
  alter role ${DATABASE_NAME} rename to ${DATABASE_OWNER};
  reset session authorization;
  drop role pipit_upgrade;
  commit`;

const connectAsOwner = async (socketFolder: string): Promise<pg.Client> => {
  try {
    return await connectAs(DATABASE_OWNER, socketFolder);
  } catch (error) {
    if (!isNoRole(error)) throw error;
    const undivided = await connectAs(DATABASE_NAME, socketFolder);
    await undivided.query(DIVIDE).finally(() => undivided.end());
    return connectAs(DATABASE_OWNER, socketFolder);
  }
};

/**
 * Makes pipit's role and database where they are missing, and divides the roles of a cluster of an earlier pipit. Killed at any moment, the next
 * start goes on.
 *
 * @throws PluginError `DATABASE_START_FAILED` (retry)
 */
export const prepareRoles = async (socketFolder: string): Promise<void> => {
  try {
    const owner = await connectAsOwner(socketFolder);
    try {
      const { rows: roles } = await owner.query('select 1 from pg_roles where rolname = $1', [DATABASE_NAME]);
      if (roles.length === 0)
        await owner.query(`create role ${DATABASE_NAME} login nosuperuser nocreatedb nocreaterole noreplication nobypassrls`);
      const { rows: databases } = await owner.query('select 1 from pg_database where datname = $1', [DATABASE_NAME]);
      if (databases.length === 0) await owner.query(`create database ${DATABASE_NAME}`);
    } finally {
      await owner.end();
    }
  } catch (cause) {
    throw new PluginError({
      code: 'DATABASE_START_FAILED',
      message: `The embedded PostgreSQL runs, but its database ${DATABASE_NAME} could not be prepared: ${cause instanceof Error ? cause.message : String(cause)}`,
      hint: 'Read server.log in the data folder. Is the disk full?',
      recovery: 'retry',
      cause,
    });
  }
};
