import type { StepLogs } from '@pipit/pipeline';
import { type Kysely, sql } from 'kysely';
import { mapDatabaseError } from './database-errors.js';

/** What is kept of one operation's logs; the beginning goes first. */
const MAX_OPERATION_BYTES = 4 * 1024 * 1024;
/** How many pieces may come before the cap is looked at again. */
const TRIM_EVERY = 64;
const DEFAULT_TAIL_BYTES = 64 * 1024;
/** PostgreSQL's text cannot hold it. */
const NUL = /\0/g;

interface Piece {
  readonly sequence: number;
  readonly step: string;
  readonly at: string;
  readonly text: string;
}

/** Step logs in a table of their own: capped, the tail kept. */
export const createPostgresStepLogs = (db: Kysely<unknown>): StepLogs => {
  const appended = new Map<string, number>();

  const trim = (operationId: string) =>
    sql`
    delete from step_logs where operation_id = ${operationId} and sequence <= (
      select coalesce(max(sequence), 0) from (
        select sequence, sum(octet_length(text)) over (order by sequence desc) as bytes from step_logs where operation_id = ${operationId}
      ) as tail where bytes > ${MAX_OPERATION_BYTES})`.execute(db);

  return {
    append: async ({ operationId, step }, text, at) => {
      try {
        await sql`insert into step_logs (operation_id, sequence, step, at, text)
          select ${operationId}, coalesce(max(sequence), 0) + 1, ${step}, ${at}, ${text.replace(NUL, '\uFFFD')}
          from step_logs where operation_id = ${operationId}`.execute(db);
        const count = (appended.get(operationId) ?? 0) + 1;
        appended.set(operationId, count % TRIM_EVERY);
        if (count % TRIM_EVERY === 0) await trim(operationId);
      } catch (error) {
        throw mapDatabaseError(error);
      }
    },
    read: async ({ operationId, step }, options = {}) => {
      const ofStep = step === undefined ? sql`` : sql`and step = ${step}`;
      const maxBytes = options.maxBytes ?? DEFAULT_TAIL_BYTES;
      const { rows } =
        options.after === undefined
          ? await sql<Piece>`select sequence, step, at, text from (
              select *, sum(octet_length(text)) over (order by sequence desc) as bytes from step_logs where operation_id = ${operationId} ${ofStep}
            ) as tail where bytes <= ${maxBytes} order by sequence`.execute(db)
          : await sql<Piece>`select sequence, step, at, text from step_logs
              where operation_id = ${operationId} ${ofStep} and sequence > ${options.after} order by sequence`.execute(db);
      const { rows: ends } = await sql<{
        first: number | null;
      }>`select min(sequence) as first from step_logs where operation_id = ${operationId} ${ofStep}`.execute(db);
      const shown = rows[0]?.sequence;
      const first = ends[0]?.first ?? null;
      return {
        pieces: rows,
        truncated: options.after === undefined && first !== null && (shown !== first || (step === undefined && first > 1)),
      };
    },
  };
};
