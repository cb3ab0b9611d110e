import { CamelCasePlugin, Kysely, PostgresDialect } from 'kysely';
import { Pool, type PoolClient, types } from 'pg';

export interface DatabaseAddress {
  /** A host name, or the folder of a Unix socket; or a whole URL instead of all. */
  readonly url: string;
}

/** 1184 is timestamptz. Source: PostgreSQL's pg_type.dat. */
const TIMESTAMPTZ = 1184;

const isoTypes = {
  getTypeParser: (id: number, format?: 'text' | 'binary') =>
    id === TIMESTAMPTZ && format !== 'binary' ? (text: string) => new Date(text).toISOString() : types.getTypeParser(id, format as 'text'), // pg's own parsers, whatever the format
};

/** A socket that is not there yet (the server restarts) is a refused connection: that is what every library tries again. */
class PatientPool extends Pool {
  override connect(): Promise<PoolClient>;
  override connect(callback: (error: Error | undefined, client: PoolClient | undefined, done: (release?: unknown) => void) => void): void;
  override connect(
    callback?: (error: Error | undefined, client: PoolClient | undefined, done: (release?: unknown) => void) => void,
  ): Promise<PoolClient> | undefined {
    if (callback !== undefined) {
      super.connect((error, client, done) => callback(error === undefined ? undefined : refused(error), client, done));
      return undefined;
    }
    return super.connect().catch((error: unknown) => {
      throw refused(error);
    });
  }
}

const refused = <E>(error: E): E => {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') error.code = 'ECONNREFUSED';
  return error;
};

export const createPool = (address: DatabaseAddress, options: { readonly max: number; readonly onError: (error: Error) => void }): Pool => {
  const pool = new PatientPool({
    connectionString: address.url,
    max: options.max,
    types: isoTypes,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 30_000,
  });
  // An idle connection that breaks is replaced; without a listener it would end the process.
  pool.on('error', options.onError);
  return pool;
};

export const createKysely = <Database>(pool: Pool): Kysely<Database> =>
  new Kysely<Database>({ dialect: new PostgresDialect({ pool }), plugins: [new CamelCasePlugin({ maintainNestedObjectKeys: true })] });
