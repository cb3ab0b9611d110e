import { storableJson, storableText } from '@pipit/core';
import { type KeyOf, type Query, type StepEntry, TABLE_KEYS, type TableName, type Tables } from '@pipit/pipeline';
import { JSON_COLUMNS } from './json-columns.js';
import { RECORDS_SCHEMA } from './migrations.js';

export type Row = Readonly<Record<string, unknown>>;

/** One question to PostgreSQL. The text holds names of our own tables and columns alone; whatever comes from outside is a value. */
export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** The commit of this statement then does not wait for the disk; PostgreSQL writes it there within three times its wal_writer_delay of 200 ms. */
const SOON = "with soon as materialized (select set_config('synchronous_commit', 'off', true) as setting)";

const cached = (convert: (name: string) => string): ((name: string) => string) => {
  const known = new Map<string, string>();
  return (name) => {
    const value = known.get(name) ?? convert(name);
    known.set(name, value);
    return value;
  };
};

const inSnakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const quoted = cached((name) => `"${inSnakeCase(name).replaceAll('"', '""')}"`);
/** A column's name as rows have it. */
export const rowNameOf = cached((column) => column.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase()));
const tableOf = cached((table) => `"${RECORDS_SCHEMA}".${quoted(table)}`);

/** A row under the names of its columns. */
const inColumns = (row: object): Row => Object.fromEntries(Object.entries(row).map(([name, value]) => [inSnakeCase(name), value]));

/** Collects values, and gives the text that stands for each. */
const createValues = (table: TableName) => {
  const values: unknown[] = [];
  const of = (column: string, value: unknown): string => {
    if (JSON_COLUMNS[table].includes(column)) return `$${values.push(value === null ? null : storableJson(value))}::jsonb`;
    return `$${values.push(typeof value === 'string' ? storableText(value) : value)}`;
  };
  return { values, of };
};
type Values = ReturnType<typeof createValues>;

const equals = ({ of, values }: Values, column: string, wanted: unknown): string => {
  const name = quoted(column);
  if (wanted === null) return `${name} is null`;
  if (!Array.isArray(wanted)) return `${name} = ${of(column, wanted)}`;
  const some = wanted.filter((each) => each !== null).map((each: unknown) => (typeof each === 'string' ? storableText(each) : each));
  // One text however long the list is, so that PostgreSQL has it prepared.
  const any = `${name} = any($${values.push(some)})`;
  return some.length === wanted.length ? any : `(${any} or ${name} is null)`;
};

const conditionsOf = (values: Values, query: Query<Row>): readonly string[] => [
  ...Object.entries(query.where ?? {}).flatMap(([column, wanted]) => (wanted === undefined ? [] : [equals(values, column, wanted)])),
  ...(query.atMost === undefined ? [] : [`${quoted(query.atMost.column)} <= ${values.of(query.atMost.column, query.atMost.value)}`]),
  ...(query.after === undefined ? [] : [`${quoted(query.after.column)} > ${values.of(query.after.column, query.after.value)}`]),
  ...(query.before === undefined ? [] : [`${quoted(query.before.column)} < ${values.of(query.before.column, query.before.value)}`]),
];

const whereKey = (values: Values, table: TableName, key: Row): string =>
  `where ${TABLE_KEYS[table].primary.map((column) => equals(values, column, key[column])).join(' and ')}`;

export const getStatement = <T extends TableName>(table: T, key: KeyOf<T>): Statement => {
  const values = createValues(table);
  return { text: `select * from ${tableOf(table)} ${whereKey(values, table, { ...key })}`, values: values.values };
};

export const listStatement = (table: TableName, query: Query<Row>): Statement => {
  const values = createValues(table);
  const conditions = conditionsOf(values, query);
  const where = conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`;
  const [column, direction] = query.orderBy ?? [undefined, 'ascending'];
  // The primary key decides between equals, so that pages neither overlap nor skip.
  const columns = new Set([...(column === undefined ? [] : [column]), ...TABLE_KEYS[table].primary]);
  const order = [...columns].map((each) => `${quoted(each)} ${direction === 'ascending' ? 'asc' : 'desc'}`).join(', ');
  const limit = query.limit === undefined ? '' : ` limit $${values.values.push(query.limit)}`;
  if (query.firstOfEach !== undefined) {
    const group = quoted(query.firstOfEach);
    const key = [group, ...TABLE_KEYS[table].primary.map(quoted)].join(', ');
    return { text: `select distinct on (${group}) * from ${tableOf(table)}${where} order by ${key}${limit}`, values: values.values };
  }
  return { text: `select * from ${tableOf(table)}${where} order by ${order}${limit}`, values: values.values };
};

export interface WriteOptions {
  /** Whether this statement, a transaction of its own, need not wait for the disk. Within a transaction that is the transaction's. */
  readonly soon: boolean;
}

export const insertStatement = <T extends TableName>(
  table: T,
  row: Tables[T],
  { soon, replace }: WriteOptions & { readonly replace: boolean },
): Statement => {
  const values = createValues(table);
  const entries = Object.entries(row);
  const columns = entries.map(([column]) => quoted(column)).join(', ');
  const given = entries.map(([column, value]) => values.of(column, value)).join(', ');
  const source = soon ? `select ${given} from soon` : `values (${given})`;
  const assignments = entries.map(([column]) => `${quoted(column)} = excluded.${quoted(column)}`).join(', ');
  const key = TABLE_KEYS[table].primary.map(quoted).join(', ');
  const conflict = replace ? `(${key}) do update set ${assignments}` : 'do nothing';
  return {
    text: `${soon ? `${SOON} ` : ''}insert into ${tableOf(table)} (${columns}) ${source} on conflict ${conflict} returning 1 as one`,
    values: values.values,
  };
};

export const insertAllStatement = <T extends TableName>(table: T, rows: readonly Tables[T][], { soon }: WriteOptions): Statement => {
  const columns = Object.keys(rows[0] ?? {})
    .map(quoted)
    .join(', ');
  // One value for all of them; the table's own row type says what each becomes.
  return {
    text: `${soon ? `${SOON} ` : ''}insert into ${tableOf(table)} (${columns})
      select ${columns} from jsonb_populate_recordset(null::${tableOf(table)}, $1::jsonb)${soon ? ' cross join soon' : ''}
      on conflict do nothing returning ${TABLE_KEYS[table].primary.map(quoted).join(', ')}`,
    values: [storableJson(rows.map(inColumns))],
  };
};

export const updateStatement = <T extends TableName>(
  table: T,
  key: KeyOf<T>,
  changes: readonly (readonly [string, unknown])[],
  { soon }: WriteOptions,
): Statement => {
  const values = createValues(table);
  const assignments = changes.map(([column, value]) => `${quoted(column)} = ${values.of(column, value)}`).join(', ');
  const where = whereKey(values, table, { ...key });
  return {
    text: soon
      ? `${SOON} update ${tableOf(table)} set ${assignments} from soon ${where} and setting = 'off' returning 1 as one`
      : `update ${tableOf(table)} set ${assignments} ${where} returning 1 as one`,
    values: values.values,
  };
};

/** The same columns of many rows, each with its own values. */
export const updateAllStatement = <T extends TableName>(
  table: T,
  rows: readonly (KeyOf<T> & Partial<Tables[T]>)[],
  { soon }: WriteOptions,
): Statement => {
  const { primary }: { readonly primary: readonly string[] } = TABLE_KEYS[table];
  const columns = Object.keys(rows[0] ?? {}).filter((column) => !primary.includes(column));
  const assignments = columns.map((column) => `${quoted(column)} = given.${quoted(column)}`).join(', ');
  const same = primary.map((column) => `own.${quoted(column)} = given.${quoted(column)}`).join(' and ');
  return {
    text: `${soon ? `${SOON} ` : ''}update ${tableOf(table)} own set ${assignments}
      from jsonb_populate_recordset(null::${tableOf(table)}, $1::jsonb) given${soon ? " join soon on setting = 'off'" : ''} where ${same}`,
    values: [storableJson(rows.map(inColumns))],
  };
};

export const removeStatement = <T extends TableName>(table: T, key: KeyOf<T>): Statement => {
  const values = createValues(table);
  return { text: `delete from ${tableOf(table)} ${whereKey(values, table, { ...key })} returning 1 as one`, values: values.values };
};

/** A step's row is made, or taken up again, only where neither quarantine nor cancel forbids; the answer tells which. */
const ENTER_STEP = `${SOON},
  given as (select exists (select from ${tableOf('settings')} where name = 'quarantine') as quarantined,
    $6::boolean and exists (select from ${tableOf('runs')} where id = $5 and cancel_requested_by is not null) as cancelled),
  entered as (insert into ${tableOf('steps')} as own (operation_id, name, position, state, attempt, started_at)
    select $1, $2, $3::integer, 'running', 1, $4::timestamptz from soon cross join given where not quarantined and not cancelled
    on conflict (operation_id, name) do update set position = excluded.position, state = excluded.state, attempt = own.attempt + 1,
      progress = null, error = null, ended_at = null
    returning attempt)
  select quarantined, cancelled, (select attempt from entered) as attempt from given`;

export const enterStepStatement = ({ operationId, name, position, at, runId, cancellable }: StepEntry): Statement => ({
  text: ENTER_STEP,
  values: [operationId, name, position, at, runId, cancellable],
});

export const lockStatement = (name: string): Statement => ({
  text: 'select pg_advisory_xact_lock(hashtextextended($1, 0))',
  values: [name],
});
