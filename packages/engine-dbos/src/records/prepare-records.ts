import { PluginError } from '@pipit/core';
import type { Pool } from 'pg';
import { asOwner } from './as-owner.js';
import { mapDatabaseError } from './database-errors.js';
import { grantRecords } from './grant-rights.js';
import { migrateRecords } from './migrate.js';
import { createKysely } from './open-database.js';

/** Any other encoding refuses or changes some of the text that people and repositories send. */
const requireUtf8 = async (pool: Pool): Promise<void> => {
  const { rows } = await pool.query<{ encoding: string }>("select current_setting('server_encoding') as encoding");
  const encoding = rows[0]?.encoding ?? 'unknown';
  if (encoding === 'UTF8') return;
  throw new PluginError({
    code: 'DATABASE_ENCODING',
    message: `The database has the encoding ${encoding}, which cannot keep every text`,
    hint: "Make one with: create database pipit encoding 'UTF8' template template0",
    recovery: 'stop',
  });
};

/**
 * Brings pipit's own tables to this release. With an owner of their own, pipit's role then has no more rights than its work needs.
 *
 * @throws PluginError `DATABASE_ENCODING`, `DATABASE_NEWER` (stop), `DATABASE_UNAVAILABLE` (retry)
 */
export const prepareRecords = async (options: { readonly pool: Pool; readonly ownerUrl: string | undefined }): Promise<void> => {
  try {
    await requireUtf8(options.pool);
    await asOwner(options, async (owner, role) => {
      const db = createKysely<unknown>(owner);
      await migrateRecords(db);
      if (role !== undefined) await grantRecords(db, role);
    });
  } catch (error) {
    throw mapDatabaseError(error);
  }
};
