import type { Query, Records, TableName, Tables } from '@pipit/pipeline';
import type { Page, PageQuery } from '../api.js';
import { unknown } from './unknown.js';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;
/** The greatest `integer` of PostgreSQL: a greater one is an error there, and not an empty page. */
const MAX_INTEGER = 2_147_483_647;

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z$/;

const parsers = {
  /** ISO 8601 in UTC, as rows have it. */
  instant: (text: string) => (INSTANT.test(text) && !Number.isNaN(Date.parse(text)) ? text : undefined),
  /** A number from 1, such as a line of the audit trail. */
  sequence: (text: string) => (/^\d{1,10}$/.test(text) && Number(text) <= MAX_INTEGER ? Number(text) : undefined),
  /** An id that sorts by time. */
  id: (text: string) => (/^[\w.:-]{1,100}$/.test(text) ? text : undefined),
} as const;

const parseCursor = (kind: keyof typeof parsers, text: string): string | number => {
  const value = parsers[kind](text);
  if (value !== undefined) return value;
  throw unknown({
    code: 'INVALID_CURSOR',
    message: '`before` is no place in this list',
    hint: 'Give the `next` of the page before.',
  });
};

/** One page of a table, newest first, by a column that grows. Throws `INVALID_LIMIT` and `INVALID_CURSOR`. */
export const listPage = async <T extends TableName>(
  records: Records,
  table: T,
  options: {
    readonly by: keyof Tables[T] & string;
    /** What the column holds: a cursor of another kind would be an error of the database. */
    readonly cursor: keyof typeof parsers;
    readonly page: PageQuery;
    readonly where?: Query<Tables[T]>['where'];
  },
): Promise<Page<Tables[T]>> => {
  const { by, cursor, page, where } = options;
  const { limit = DEFAULT_LIMIT, before } = page;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw unknown({ code: 'INVALID_LIMIT', message: `${limit} is no page size`, hint: `Ask for 1 to ${MAX_LIMIT} rows.` });
  const rows = await records.list(table, {
    orderBy: [by, 'descending'],
    limit: limit + 1,
    ...(where === undefined ? {} : { where }),
    ...(before === undefined ? {} : { before: { column: by, value: parseCursor(cursor, before) } }),
  });
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { rows: shown, next: rows.length > limit && last !== undefined ? String(last[by]) : null };
};
