import type { Pool } from 'pg';
import { mapDatabaseError } from './database-errors.js';

/**
 * Names held over all replicas by an advisory lock of a connection: the server frees it when the process dies.
 * Within this process they queue first, so that waiting takes one connection a name at most, and those who wait never starve who holds.
 */
export const createExclusiveNames = (pool: Pool) => {
  const queues = new Map<string, Promise<unknown>>();

  const hold = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    // A name of its own kind: a transaction's lock of the same name is another one.
    const key = `exclusively:${name}`;
    let broken = false;
    const client = await pool.connect().catch((error: unknown) => {
      throw mapDatabaseError(error);
    });
    const onError = (): void => {
      broken = true;
    };
    client.on('error', onError);
    try {
      await client.query('select pg_advisory_lock(hashtextextended($1, 0))', [key]).catch((error: unknown) => {
        broken = true;
        throw mapDatabaseError(error);
      });
      return await work();
    } finally {
      if (!broken) await client.query('select pg_advisory_unlock(hashtextextended($1, 0))', [key]).catch(onError);
      client.off('error', onError);
      // A connection of which it is not sure that it gave the lock back is closed, which gives it back.
      client.release(broken);
    }
  };

  return async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const result = (queues.get(name) ?? Promise.resolve()).then(() => hold(name, work));
    const settled = result.catch(() => undefined);
    queues.set(name, settled);
    try {
      return await result;
    } finally {
      if (queues.get(name) === settled) queues.delete(name);
    }
  };
};
