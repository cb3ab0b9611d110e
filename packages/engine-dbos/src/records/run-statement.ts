import type { Pool, PoolClient } from 'pg';
import { type Row, rowNameOf, type Statement } from './statements.js';

/** Texts that PostgreSQL has prepared on each connection. Ours are some hundred; more would say that values got into texts. */
const MAX_PREPARED = 500;
const names = new Map<string, string>();

/** The same name for the same text, so that a connection parses it once. */
const nameOf = (text: string): string | undefined => {
  const known = names.get(text);
  if (known !== undefined || names.size >= MAX_PREPARED) return known;
  const name = `pipit_${names.size}`;
  names.set(text, name);
  return name;
};

export const runStatement = async (client: PoolClient, { text, values }: Statement): Promise<readonly Row[]> => {
  const name = nameOf(text);
  const result = await client.query<unknown[]>({
    text,
    values: [...values],
    rowMode: 'array',
    ...(name === undefined ? {} : { name }),
  });
  const columns = result.fields.map((field) => rowNameOf(field.name));
  return result.rows.map((row) => Object.fromEntries(columns.map((column, index) => [column, row[index]])));
};

/** A connection that told an error is closed: what it has prepared, and what else was sent over it, is not sure any more. */
export const releaseClient = (client: PoolClient, isBroken: boolean): void => client.release(isBroken);

/**
 * What is asked by one question each, and together, shares one connection, over which it is sent without waiting for each other: that takes one round trip.
 * What is asked later takes another connection, so that nothing waits for what it does not know of.
 */
const createReads = (pool: Pool): ((statement: Statement) => Promise<readonly Row[]>) => {
  interface Group {
    readonly client: Promise<PoolClient>;
    users: number;
    isBroken: boolean;
  }
  let open: Group | undefined;

  const join = (): Group => {
    if (open === undefined) {
      open = { client: pool.connect(), users: 0, isBroken: false };
      queueMicrotask(() => {
        open = undefined;
      });
    }
    open.users += 1;
    return open;
  };

  return async (statement) => {
    const group = join();
    const client = await group.client;
    try {
      return await runStatement(client, statement);
    } catch (error) {
      group.isBroken = true;
      throw error;
    } finally {
      group.users -= 1;
      if (group.users === 0) releaseClient(client, group.isBroken);
    }
  };
};

const reads = new WeakMap<Pool, ReturnType<typeof createReads>>();

/** The same for everybody who asks the pool, so that a step's row and its log are sent together. */
export const readsOf = (pool: Pool): ReturnType<typeof createReads> => {
  const known = reads.get(pool) ?? createReads(pool);
  reads.set(pool, known);
  return known;
};
