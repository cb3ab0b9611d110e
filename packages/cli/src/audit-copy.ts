import { readFile } from 'node:fs/promises';
import type { Api } from '@pipit/runtime';
import type { AuditRow } from './audit-chain.js';
import type { AuditHeadRow } from './audit-heads.js';
import { usageError } from './cli-error.js';

/** The largest page. */
const PAGE = 200;

/** A whole trail with its heads. */
export interface AuditCopy {
  /** From the first line on. */
  readonly rows: readonly AuditRow[];
  readonly heads: readonly AuditHeadRow[];
}

interface Page<Row> {
  readonly rows: readonly Row[];
  readonly next: string | null;
}

const readAll = async <Row>(
  ask: (query: { readonly limit: number; readonly before?: string }) => Promise<Page<Row>>,
): Promise<readonly Row[]> => {
  const newestFirst: Row[] = [];
  let before: string | undefined;
  do {
    const page = await ask({ limit: PAGE, ...(before === undefined ? {} : { before }) });
    newestFirst.push(...page.rows);
    before = page.next ?? undefined;
  } while (before !== undefined);
  return newestFirst.reverse();
};

/** Heads first: one that is signed meanwhile would name a line that was not read. */
export const readTrail = async (api: Pick<Api, 'listAudit' | 'listAuditHeads'>): Promise<AuditCopy> => {
  const heads = await readAll((query) => api.listAuditHeads(query));
  return { heads, rows: await readAll((query) => api.listAudit(query)) };
};

/** JSON lines: the lines of the trail, then its heads. */
export const renderCopy = ({ rows, heads }: AuditCopy): readonly string[] => [...rows, ...heads].map((each) => JSON.stringify(each));

export const readText = (path: string): Promise<string> =>
  readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw usageError(`${path} cannot be read: ${error.message}`);
  });

const isHead = (value: object): value is AuditHeadRow => 'signature' in value && 'keyId' in value;
const isRow = (value: object): value is AuditRow => 'previousHash' in value && 'sequence' in value;

/** Reads what {@link renderCopy} wrote. What a line holds is the verification's to judge. */
export const readCopy = async (path: string): Promise<AuditCopy> => {
  const rows: AuditRow[] = [];
  const heads: AuditHeadRow[] = [];
  for (const [index, line] of (await readText(path)).split('\n').entries()) {
    if (line.trim() === '') continue;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      value = undefined;
    }
    if (typeof value !== 'object' || value === null || !(isHead(value) || isRow(value)))
      throw usageError(`${path}:${index + 1} is no line of an audit trail`, 'Make a copy with: pipit audit --export');
    if (isHead(value)) heads.push(value);
    else rows.push(value);
  }
  return { rows, heads };
};
