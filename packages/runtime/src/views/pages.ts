import type { Query, Records, TableName, Tables } from '@pipit/pipeline';
import type { Page, PageQuery } from '../api.js';
import { unknown } from './unknown.js';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;

/** One page of a table, newest first, by a column that grows. */
export const listPage = async <T extends TableName>(
  records: Records,
  table: T,
  options: {
    readonly by: keyof Tables[T] & string;
    readonly numeric?: boolean;
    readonly page: PageQuery;
    readonly where?: Query<Tables[T]>['where'];
  },
): Promise<Page<Tables[T]>> => {
  const limit = options.page.limit ?? DEFAULT_LIMIT;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw unknown({ code: 'INVALID_LIMIT', message: `${limit} is no page size`, hint: `Ask for 1 to ${MAX_LIMIT} rows.` });
  const { before } = options.page;
  const value = before === undefined ? undefined : options.numeric === true ? Number(before) : before;
  if (typeof value === 'number' && !Number.isFinite(value))
    throw unknown({
      code: 'INVALID_CURSOR',
      message: `${before ?? ''} is no place in this list`,
      hint: 'Give the `next` of the page before.',
    });
  const rows = await records.list(table, {
    orderBy: [options.by, 'descending'],
    limit: limit + 1,
    ...(options.where === undefined ? {} : { where: options.where }),
    ...(value === undefined ? {} : { before: { column: options.by, value } }),
  });
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { rows: shown, next: rows.length > limit && last !== undefined ? String(last[options.by]) : null };
};
