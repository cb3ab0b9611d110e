import { isPluginError, PluginError } from '@pipit/core';

/** Errors of sockets and of a server that starts, stops, has no place, or became a standby. Source: PostgreSQL's appendix A, classes 08, 25, 53 and 57P. */
const AWAY =
  /^(?:ECONNREFUSED|ECONNRESET|ENOENT|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|08\w{3}|25006|25P03|53\w{3}|57P0[1-5])$/;
/** What node-postgres says without a code. */
const AWAY_TEXT =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Client was closed|Cannot use a pool after/;

/** Source: PostgreSQL's appendix A: serialization_failure, deadlock_detected. */
const RACED = new Set(['40001', '40P01']);

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : '';

/** A library may wrap it in an error of its own. */
export const isDatabaseAway = (error: unknown): boolean =>
  AWAY.test(codeOf(error)) ||
  (error instanceof Error && (AWAY_TEXT.test(error.message) || (error.cause !== undefined && isDatabaseAway(error.cause))));

export const isRaced = (error: unknown): boolean => RACED.has(codeOf(error));

/** Another replica changed a table after this connection had prepared a question about it. Nothing was done. Source: PostgreSQL's plancache.c. */
export const isStalePlan = (error: unknown): boolean =>
  codeOf(error) === '0A000' && error instanceof Error && error.message.includes('cached plan');

/**
 * What a caller sees of a database that does not answer: `reconcile` when a commit was under way, since it may have been stored;
 * else `retry`, since the server rolls back what was not committed. Anything else comes back as it is.
 */
export const mapDatabaseError = (error: unknown, during: 'work' | 'commit' = 'work'): unknown =>
  isPluginError(error) || !isDatabaseAway(error)
    ? error
    : new PluginError({
        code: 'DATABASE_UNAVAILABLE',
        message: `The database does not answer: ${error instanceof Error ? error.message : String(error)}`,
        hint: 'A server tries again by itself. Should the database stay away, look at its own log and at the address under `database:`.',
        recovery: during === 'commit' ? 'reconcile' : 'retry',
        cause: error,
      });
