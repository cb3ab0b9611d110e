import { type Kysely, sql, type Transaction } from 'kysely';
import { mapDatabaseError } from './database-errors.js';
import { RECORDS_SCHEMA } from './migrations.js';

/** Replicas that start together do it one after the other. */
const GRANT_LOCK = 727_474_003;

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const execute = async (transaction: Transaction<unknown>, statements: readonly string[]): Promise<void> => {
  for (const statement of statements) await sql.raw(statement).execute(transaction);
};

/** What pipit's role may do with pipit's own tables: with the audit trail and its heads nothing but read and add. */
const recordsRights = (role: string): readonly string[] => [
  `revoke all on all tables in schema ${RECORDS_SCHEMA} from public, ${role}`,
  `grant usage on schema ${RECORDS_SCHEMA} to ${role}`,
  `grant select, insert, update, delete on all tables in schema ${RECORDS_SCHEMA} to ${role}`,
  `grant usage, select on all sequences in schema ${RECORDS_SCHEMA} to ${role}`,
  ...APPEND_ONLY.map((table) => `revoke update, delete on ${RECORDS_SCHEMA}.${table} from ${role}`),
  ...MIGRATIONS.map((table) => `revoke insert, update, delete on ${RECORDS_SCHEMA}.${table} from ${role}`),
];

const APPEND_ONLY = ['audit', 'audit_heads'] as const;
/** Kysely's own. */
const MIGRATIONS = ['kysely_migration', 'kysely_migration_lock'] as const;

/** What DBOS does with its tables once they are made. Source: getDbosSchemaPermissionsSql of the SDK, without what only its owner needs. */
const engineRights = (schema: string, role: string): readonly string[] => [
  `grant usage on schema ${schema} to ${role}`,
  `grant select, insert, update, delete on all tables in schema ${schema} to ${role}`,
  `grant usage, select, update on all sequences in schema ${schema} to ${role}`,
  `grant execute on all functions in schema ${schema} to ${role}`,
];

const grant = async (owner: Kysely<unknown>, statements: readonly string[]): Promise<void> => {
  try {
    await owner.transaction().execute(async (transaction) => {
      await sql`select pg_advisory_xact_lock(${GRANT_LOCK})`.execute(transaction);
      await execute(transaction, statements);
    });
  } catch (error) {
    throw mapDatabaseError(error);
  }
};

/** Gives the role that pipit works as its rights to pipit's own tables; after each migration, since it may have made some. */
export const grantRecords = (owner: Kysely<unknown>, role: string): Promise<void> => grant(owner, recordsRights(quote(role)));

/** The same for DBOS's own schema. */
export const grantEngine = (owner: Kysely<unknown>, schema: string, role: string): Promise<void> =>
  grant(owner, engineRights(quote(schema), quote(role)));
