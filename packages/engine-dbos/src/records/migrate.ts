import { PluginError } from '@pipit/core';
import { type Kysely, type MigrationProvider, Migrator, sql } from 'kysely';
import { mapDatabaseError } from './database-errors.js';
import { migrationProvider, RECORDS_SCHEMA } from './migrations.js';

/** Replicas that start together on an empty database do it one after the other. */
const MIGRATION_LOCK = 727_474_001;

/**
 * Brings the tables to this release. A database that a newer pipit has migrated is refused.
 *
 * @throws PluginError `DATABASE_NEWER` (stop), `DATABASE_UNAVAILABLE` (retry)
 */
export const migrateRecords = async (db: Kysely<unknown>, provider: MigrationProvider = migrationProvider): Promise<void> => {
  try {
    await db.connection().execute(async (connection) => {
      await sql`select pg_advisory_lock(${MIGRATION_LOCK})`.execute(connection);
      try {
        const { error } = await new Migrator({ db: connection, provider, migrationTableSchema: RECORDS_SCHEMA }).migrateToLatest();
        if (error !== undefined) throw error;
      } finally {
        await sql`select pg_advisory_unlock(${MIGRATION_LOCK})`.execute(connection);
      }
    });
  } catch (error) {
    if (error instanceof Error && /previously executed migration .* is missing/.test(error.message))
      throw new PluginError({
        code: 'DATABASE_NEWER',
        message: 'A newer pipit has changed this database',
        hint: 'Run that release of pipit, or restore a backup from before.',
        recovery: 'stop',
        cause: error,
      });
    throw mapDatabaseError(error);
  }
};
