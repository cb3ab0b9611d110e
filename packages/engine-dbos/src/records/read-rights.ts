import type { Pool } from 'pg';
import { mapDatabaseError } from './database-errors.js';

/** What the role that pipit works as could do with the audit trail. */
export interface AuditRights {
  readonly role: string;
  /** `superuser`, `owner of the audit trail`, or rights such as `update`: none when it can only read and add. */
  readonly excess: readonly string[];
}

const READ = `select current_user as role, rolsuper as superuser, pg_has_role(current_user, relowner, 'member') as owner,
  array(select privilege from unnest(array['update', 'delete', 'truncate', 'trigger']) privilege
    where has_table_privilege(current_user, pg_class.oid, privilege)) as privileges
  from pg_class, pg_roles where pg_class.oid = 'pipit.audit'::regclass and rolname = current_user`;

interface Row {
  readonly role: string;
  readonly superuser: boolean;
  readonly owner: boolean;
  readonly privileges: readonly string[];
}

export const readAuditRights = async (pool: Pool): Promise<AuditRights> => {
  try {
    const { rows } = await pool.query<Row>(READ);
    const [row] = rows;
    if (row === undefined) return { role: '', excess: [] };
    const excess = row.superuser ? ['superuser'] : row.owner ? ['owner of the audit trail'] : row.privileges;
    return { role: row.role, excess };
  } catch (error) {
    throw mapDatabaseError(error);
  }
};
