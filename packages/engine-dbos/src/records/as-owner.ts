import type { Pool } from 'pg';
import { createPool } from './open-database.js';

/** DBOS's migrations hold one connection while they use another. */
const MAX_CONNECTIONS = 3;

/**
 * Does what only the tables' owner may, over connections that are closed afterwards.
 *
 * @param work gets the owner's pool, and the role that pipit itself works as when that is another one, to be given its rights
 */
export const asOwner = async <T>(
  { pool, ownerUrl }: { readonly pool: Pool; readonly ownerUrl: string | undefined },
  work: (owner: Pool, role: string | undefined) => Promise<T>,
): Promise<T> => {
  if (ownerUrl === undefined) return work(pool, undefined);
  const owner = createPool({ url: ownerUrl }, { max: MAX_CONNECTIONS, onError: () => undefined });
  try {
    const [own, other] = [await roleOf(pool), await roleOf(owner)];
    return await work(owner, own === other ? undefined : own);
  } finally {
    await owner.end();
  }
};

const roleOf = async (pool: Pool): Promise<string> => {
  const { rows } = await pool.query<{ role: string }>('select current_user as role');
  return rows[0]?.role ?? '';
};
