import type { Schema } from '@pipit/core';
import type { ConfigPath } from './config-path.js';

/** A node of a JSON Schema; keys that pipit does not know stay as they are. */
export type JsonSchema = Readonly<Record<string, unknown>>;

export const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The schema's own description as draft 2020-12; undefined when it cannot be described. */
export const describeSchema = (schema: Schema<unknown>): JsonSchema | undefined => {
  try {
    return schema['~standard'].jsonSchema.input({ target: 'draft-2020-12' });
  } catch {
    return undefined; // The spec lets a library throw when a part has no JSON Schema; only completion and suggestions miss it.
  }
};

const follow = (root: JsonSchema, node: JsonSchema): JsonSchema | undefined => {
  if (typeof node.$ref !== 'string') return node;
  if (!node.$ref.startsWith('#')) return undefined;
  let target: unknown = root;
  for (const part of node.$ref.slice(1).split('/').filter(Boolean)) {
    target = isMapping(target) ? target[decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')] : undefined;
  }
  return isMapping(target) ? target : undefined;
};

/** Enough for any schema that a person writes; ends references that go in a circle. */
const MAX_ALTERNATIVES = 200;

/** All alternatives of a node: itself, and what `$ref`, `anyOf`, `oneOf` and `allOf` lead to. */
const alternatives = (root: JsonSchema, node: JsonSchema): readonly JsonSchema[] => {
  const found = [node];
  for (let index = 0; index < found.length && found.length < MAX_ALTERNATIVES; index += 1) {
    const current = found[index];
    if (current === undefined) break;
    const next = follow(root, current);
    if (next !== undefined && next !== current && !found.includes(next)) found.push(next);
    for (const keyword of ['anyOf', 'oneOf', 'allOf'])
      for (const child of Array.isArray(current[keyword]) ? current[keyword] : []) if (isMapping(child)) found.push(child);
  }
  return found;
};

const childrenOf = (node: JsonSchema, part: string | number): readonly JsonSchema[] => {
  if (typeof part === 'number') {
    const tuple = Array.isArray(node.prefixItems) ? node.prefixItems[part] : undefined;
    return [tuple ?? node.items].filter(isMapping);
  }
  const own = isMapping(node.properties) && Object.hasOwn(node.properties, part) ? node.properties[part] : undefined;
  return [own ?? node.additionalProperties].filter(isMapping);
};

const nodesAt = (root: JsonSchema, path: ConfigPath): readonly JsonSchema[] =>
  path.reduce<readonly JsonSchema[]>(
    (nodes, part) => nodes.flatMap((node) => childrenOf(node, part)).flatMap((node) => alternatives(root, node)),
    alternatives(root, root),
  );

/** The keys that a schema names for the mapping at `path`. */
export const keysAt = (root: JsonSchema, path: ConfigPath): readonly string[] => [
  ...new Set(nodesAt(root, path).flatMap((node) => (isMapping(node.properties) ? Object.keys(node.properties) : []))),
];

/** Whether a schema says anything about what stands at `path`. */
export const isDescribedAt = (root: JsonSchema, path: ConfigPath): boolean =>
  nodesAt(root, path).some((node) => ['type', 'enum', 'const'].some((keyword) => keyword in node));
