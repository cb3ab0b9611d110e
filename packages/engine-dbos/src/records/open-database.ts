import type { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { CamelCasePlugin, Kysely, PostgresDialect } from 'kysely';
import { Client, type ClientConfig, Pool, types } from 'pg';

export interface DatabaseAddress {
  /** A URL; its `host` parameter may be the folder of a Unix socket. */
  readonly url: string;
}

/** 1184 is timestamptz. Source: PostgreSQL's pg_type.dat. */
const TIMESTAMPTZ = 1184;

const isoTypes = {
  getTypeParser: (id: number, format?: 'text' | 'binary') =>
    id === TIMESTAMPTZ && format !== 'binary' ? (text: string) => new Date(text).toISOString() : types.getTypeParser(id, format as 'text'), // pg's own parsers, whatever the format
};

/**
 * What a Unix socket says, in the words that DBOS tries again after: ENOENT while the server is away is a refused connection, EPIPE is one
 * that went in the middle of a write. Otherwise an operation under way at a restart of the database would end unrecorded.
 */
const SOCKET_CODES: Readonly<Record<string, string>> = { ENOENT: 'ECONNREFUSED', EPIPE: 'ECONNRESET' };

/** Questions that are asked in one breath leave in one packet: each write of its own wakes the server. */
const sendTogether = <Ask extends (...given: never[]) => unknown>(connection: { readonly stream: Duplex }, ask: Ask): Ask => {
  let isHeld = false;
  const hold = (): void => {
    isHeld = true;
    const { stream } = connection;
    stream.cork();
    process.nextTick(() => {
      isHeld = false;
      stream.uncork();
    });
  };
  const asking = function (this: unknown, ...given: never[]): unknown {
    if (!isHeld) hold();
    return ask.apply(this, given);
  };
  return asking as Ask; // it takes and gives what the other does
};

class PatientClient extends Client {
  constructor(config?: string | ClientConfig) {
    super(config);
    // pg's own field, which its types leave out: the emitter that every error of the socket passes first.
    const { connection } = this as unknown as { connection: EventEmitter & { readonly stream: Duplex } };
    this.query = sendTogether(connection, this.query);
    connection.prependListener('error', (error: NodeJS.ErrnoException) => {
      const code = SOCKET_CODES[error.code ?? ''];
      if (code !== undefined) error.code = code;
    });
  }
}

export const createPool = (address: DatabaseAddress, options: { readonly max: number; readonly onError: (error: Error) => void }): Pool => {
  const pool = new Pool({
    connectionString: address.url,
    Client: PatientClient,
    // Questions that are asked together are sent together.
    pipeline: true,
    max: options.max,
    types: isoTypes,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 30_000,
  });
  // An idle connection that breaks is replaced; without a listener it would end the process.
  pool.on('error', options.onError);
  // So would one that breaks while a transaction holds it between two queries; its next query tells the holder.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
};

export const createKysely = <Database>(pool: Pool): Kysely<Database> =>
  new Kysely<Database>({ dialect: new PostgresDialect({ pool }), plugins: [new CamelCasePlugin({ maintainNestedObjectKeys: true })] });
