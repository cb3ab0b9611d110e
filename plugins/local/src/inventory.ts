import { type HostAddress, PluginError, parseHostAddress } from '@pipit/core';
import { isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { z } from 'zod';
import { findInventoryBreach, repeatedKeys } from './inventory-limits.js';

/** One host as the inventory lists it. */
export interface InventoryHost {
  readonly id: string;
  readonly address: HostAddress;
  readonly tags: readonly string[];
  readonly services: readonly string[];
  readonly attributes: Readonly<Record<string, string>>;
  readonly available: boolean;
  readonly reason?: string;
}

const isAddress = (text: string): boolean => {
  try {
    parseHostAddress(text);
    return true;
  } catch {
    return false;
  }
};

/** Tags and services as the other discoveries have them: no spaces, so that they can be printed in a row. */
const label = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:._-]*$/, 'expected letters, digits, ":", ".", "_" and "-", such as web::app_canary');

const hostSchema = z.strictObject({
  address: z.string().refine(isAddress, 'expected a host name or an IP address such as 127.77.0.11'),
  tags: z.array(label).default([]),
  services: z.array(label).default([]),
  attributes: z.record(z.string(), z.string('expected text: put numbers and yes or no in quotes')).default({}),
  available: z.boolean('expected true or false').default(true),
  reason: z.string().optional(),
});

const inventorySchema = z.strictObject({
  hosts: z.record(
    z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'expected letters, digits, ".", "_" and "-": it becomes the name of a folder'),
    hostSchema,
  ),
});

interface Problem {
  readonly line: number;
  readonly column: number;
  readonly text: string;
}

/** A file of nothing but mistakes has as many as it has lines. */
const MAX_PROBLEMS = 20;

const invalid = (file: string, problems: readonly Problem[]): PluginError =>
  new PluginError({
    code: 'INVENTORY_INVALID',
    message: [...problems]
      .sort((one, other) => one.line - other.line || one.column - other.column)
      .slice(0, MAX_PROBLEMS)
      .map(({ line, column, text }) => `${file}:${line}:${column}: ${text}`)
      .join('\n'),
    hint: 'Mend the lines that are named. A host looks so: web1: { address: 127.77.0.11, tags: ["web::app_canary"] }',
    recovery: 'retry',
  });

/** Where a problem's path leads: the value, or where there is none its nearest parent; for a key that should not be, the key. */
const placeOf = (document: ReturnType<typeof parseDocument>, path: readonly PropertyKey[], badKey: string | undefined): number => {
  const segments = path.map((segment) => (typeof segment === 'symbol' ? segment.toString() : segment));
  for (let length = segments.length; length >= 0; length -= 1) {
    const node: unknown = length === 0 ? document.contents : document.getIn(segments.slice(0, length), true);
    const key = badKey ?? segments.at(length);
    if (isMap(node) && key !== undefined) {
      const pair = node.items.find((candidate) => isScalar(candidate.key) && candidate.key.value === key);
      if (isScalar(pair?.key)) return pair.key.range?.[0] ?? 0;
    }
    // Whatever getIn returns with `true` is a node of the document that was just parsed.
    const range = (node as Node | null | undefined)?.range;
    if (range !== undefined && range !== null) return range[0];
  }
  return 0;
};

/**
 * Reads an inventory's text.
 *
 * @param file shown in messages
 * @throws PluginError `INVENTORY_INVALID` (retry: it may be in the middle of being saved), one line of the message a problem: `file:line:column: what was expected`
 */
export const parseInventory = (text: string, file: string): readonly InventoryHost[] => {
  const lines = new LineCounter();
  const breach = findInventoryBreach(text);
  if (breach !== undefined) throw invalid(file, [{ line: 1, column: 1, text: breach }]);
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const at = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  if (document.errors.length > 0)
    throw invalid(
      file,
      document.errors.map((error) => ({ ...at(error.pos[0]), text: error.message })),
    );
  const repeated = repeatedKeys(document);
  if (repeated.length > 0)
    throw invalid(
      file,
      repeated.map((offset) => ({ ...at(offset), text: 'Map keys must be unique' })),
    );
  const parsed = inventorySchema.safeParse(document.toJS() ?? {});
  if (!parsed.success)
    throw invalid(
      file,
      parsed.error.issues.slice(0, MAX_PROBLEMS).flatMap((issue) => {
        const where = issue.path.join('.');
        if (issue.code === 'unrecognized_keys')
          return issue.keys.slice(0, MAX_PROBLEMS).map((key) => ({
            ...at(placeOf(document, issue.path, key)),
            text: `${where === '' ? key : `${where}.${key}`} is not known here; take it out or mend its spelling`,
          }));
        const isKey = issue.code === 'invalid_key';
        const detail = isKey ? (issue.issues[0]?.message ?? issue.message) : issue.message;
        const place = isKey
          ? placeOf(document, issue.path.slice(0, -1), String(issue.path.at(-1)))
          : placeOf(document, issue.path, undefined);
        return [{ ...at(place), text: `${where === '' ? 'the inventory' : where}: ${detail}` }];
      }),
    );
  return Object.entries(parsed.data.hosts).map(([id, host]) => ({
    id,
    address: parseHostAddress(host.address),
    tags: host.tags,
    services: host.services,
    attributes: host.attributes,
    available: host.available,
    ...(host.reason === undefined ? {} : { reason: host.reason }),
  }));
};
