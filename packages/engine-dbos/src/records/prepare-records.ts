import type { Pool } from 'pg';
import { asOwner } from './as-owner.js';
import { mapDatabaseError } from './database-errors.js';
import { grantRecords } from './grant-rights.js';
import { migrateRecords } from './migrate.js';
import { createKysely } from './open-database.js';

/**
 * Brings pipit's own tables to this release. With an owner of their own, pipit's role then has no more rights than its work needs.
 *
 * @throws PluginError `DATABASE_NEWER` (stop), `DATABASE_UNAVAILABLE` (retry)
 */
export const prepareRecords = async (options: { readonly pool: Pool; readonly ownerUrl: string | undefined }): Promise<void> => {
  try {
    await asOwner(options, async (owner, role) => {
      const db = createKysely<unknown>(owner);
      await migrateRecords(db);
      if (role !== undefined) await grantRecords(db, role);
    });
  } catch (error) {
    throw mapDatabaseError(error);
  }
};
