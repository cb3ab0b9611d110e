import { storableText } from '@pipit/core';
import type { StepLogs } from '@pipit/pipeline';
import { type Kysely, sql } from 'kysely';
import type { Pool } from 'pg';
import { mapDatabaseError } from './database-errors.js';
import { readsOf } from './run-statement.js';

/** What is kept of one operation's logs; the beginning goes first. */
const MAX_OPERATION_BYTES = 4 * 1024 * 1024;
/** How many pieces may come before the cap is looked at again. */
const TRIM_EVERY = 64;
const DEFAULT_TAIL_BYTES = 64 * 1024;

/** The setting is this statement's alone: a log need not wait for the disk, and the step that it tells of ends with something that does. */
const APPEND = `insert into pipit.step_logs (operation_id, sequence, step, at, text)
  select $1::pipit.text, (select coalesce(max(sequence), 0) + 1 from pipit.step_logs where operation_id = $1::pipit.text), $2, $3::timestamptz, $4
  from (select set_config('synchronous_commit', 'off', true)) as soon (setting) where setting = 'off'
  on conflict do nothing returning sequence`;

interface Piece {
  readonly sequence: number;
  readonly step: string;
  readonly at: string;
  readonly text: string;
}

/** The end of a text, cut between two characters. */
const tailOf = (text: string, maxBytes: number): string => {
  const bytes = Buffer.from(text);
  if (bytes.byteLength <= maxBytes) return text;
  let from = bytes.byteLength - maxBytes;
  // The bytes of a character after its first begin with the bits 10. Source: UTF-8, RFC 3629.
  while (((bytes[from] ?? 0) & 0xc0) === 0x80) from += 1;
  return bytes.subarray(from).toString();
};

/** Step logs in a table of their own: capped, the tail kept, numbered by operation. */
export const createPostgresStepLogs = (
  { db, pool }: { readonly db: Kysely<unknown>; readonly pool: Pool },
  { maxOperationBytes = MAX_OPERATION_BYTES }: { readonly maxOperationBytes?: number } = {},
): StepLogs => {
  const trim = (operationId: string) =>
    sql`
    delete from pipit.step_logs where operation_id = ${operationId} and sequence in (
      select sequence from (
        select sequence, sum(octet_length(text)) over (order by sequence desc) as bytes from pipit.step_logs where operation_id = ${operationId}
      ) as tail where bytes > ${maxOperationBytes})`.execute(db);

  const run = readsOf(pool);

  const appendOnce = async (operationId: string, step: string, text: string, at: string): Promise<number | undefined> => {
    const [row] = await run({ text: APPEND, values: [operationId, step, at, text] });
    return row === undefined ? undefined : Number(row['sequence']);
  };

  return {
    append: async ({ operationId, step }, text, at) => {
      const kept = tailOf(storableText(text), maxOperationBytes);
      try {
        let sequence: number | undefined;
        // Another append took the number meanwhile: take the next one.
        while (sequence === undefined) sequence = await appendOnce(operationId, step, kept, at);
        if (sequence % TRIM_EVERY === 0) await trim(operationId);
      } catch (error) {
        throw mapDatabaseError(error);
      }
    },
    read: async ({ operationId, step }, options = {}) => {
      const ofStep = step === undefined ? sql`` : sql`and step = ${step}`;
      const maxBytes = options.maxBytes ?? DEFAULT_TAIL_BYTES;
      try {
        if (options.after !== undefined) {
          const { rows } = await sql<Piece>`select sequence, step, at, text from pipit.step_logs
            where operation_id = ${operationId} ${ofStep} and sequence > ${options.after} order by sequence`.execute(db);
          // A gap behind `after` was dropped by the cap before it was read.
          const { rows: ends } = await sql<{ first: number | null }>`
            select min(sequence) as first from pipit.step_logs where operation_id = ${operationId}`.execute(db);
          return { pieces: rows, truncated: (ends[0]?.first ?? 1) > options.after + 1 };
        }
        // The piece that crosses the limit is among them: its end belongs to the tail.
        const { rows } = await sql<
          Piece & { readonly bytes: string; readonly first: number }
        >`select sequence, step, at, text, bytes, first from (
          select sequence, step, at, text, sum(octet_length(text)) over (order by sequence desc) as bytes,
            octet_length(text) as own, min(sequence) over () as first
          from pipit.step_logs where operation_id = ${operationId} ${ofStep}
        ) as tail where bytes - own < ${maxBytes} order by sequence`.execute(db);
        const [oldest] = rows;
        const surplus = oldest === undefined ? 0 : Number(oldest.bytes) - maxBytes;
        const pieces = rows.map(({ sequence, step: own, at, text }, index) => ({
          sequence,
          step: own,
          at,
          text: index === 0 && surplus > 0 ? tailOf(text, Buffer.byteLength(text) - surplus) : text,
        }));
        const dropped = oldest !== undefined && (oldest.sequence !== oldest.first || (step === undefined && oldest.first > 1));
        return { pieces, truncated: surplus > 0 || dropped };
      } catch (error) {
        throw mapDatabaseError(error);
      }
    },
  };
};
