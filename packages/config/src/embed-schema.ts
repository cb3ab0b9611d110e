import { isMapping, type JsonSchema } from './schema-shape.js';

const MAPS_OF_SCHEMAS = ['properties', 'patternProperties', '$defs', 'dependentSchemas'];
const LISTS_OF_SCHEMAS = ['prefixItems', 'anyOf', 'oneOf', 'allOf'];
const SCHEMAS = ['items', 'additionalProperties', 'contains', 'unevaluatedProperties', 'then', 'else'];

/** A copy of a schema with every schema inside it replaced. What stands in conditions and examples is left alone. */
const mapInner = (schema: JsonSchema, change: (inner: JsonSchema) => JsonSchema): JsonSchema =>
  Object.fromEntries(
    Object.entries(schema).map(([keyword, value]): [string, unknown] => {
      if (MAPS_OF_SCHEMAS.includes(keyword) && isMapping(value))
        return [keyword, Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, isMapping(inner) ? change(inner) : inner]))];
      if (LISTS_OF_SCHEMAS.includes(keyword) && Array.isArray(value))
        return [keyword, value.map((inner) => (isMapping(inner) ? change(inner) : inner))];
      return [keyword, SCHEMAS.includes(keyword) && isMapping(value) ? change(value) : value];
    }),
  );

/** Moves a whole schema under `#/$defs/<name>`: references inside it follow. */
export const rebaseReferences = (schema: JsonSchema, name: string): JsonSchema => {
  const { $schema: _dialect, $id: _id, ...rest } = mapInner(schema, (inner) => rebaseReferences(inner, name));
  if (typeof rest.$ref !== 'string' || !rest.$ref.startsWith('#')) return rest;
  return { ...rest, $ref: `#/$defs/${name}${rest.$ref.slice(1)}` };
};

const takesText = (schema: JsonSchema): boolean =>
  !('const' in schema) && (schema.type === 'string' || (Array.isArray(schema.type) && schema.type.includes('string')));

/** Where `{ $env }` and `{ $file }` are described. */
export const REFERENCE_SCHEMA = {
  description: 'A text from the environment or from a file; never shown.',
  anyOf: [
    { type: 'object', properties: { $env: { type: 'string', minLength: 1 } }, required: ['$env'], additionalProperties: false },
    { type: 'object', properties: { $file: { type: 'string', minLength: 1 } }, required: ['$file'], additionalProperties: false },
  ],
} as const;

/** Lets every text also be a reference. `oneOf` becomes `anyOf`, since a reference fits several of its texts. */
export const acceptReferences = (schema: JsonSchema): JsonSchema => {
  const { oneOf, ...others } = mapInner(schema, acceptReferences);
  const changed: JsonSchema =
    oneOf === undefined ? others : others.anyOf === undefined ? { ...others, anyOf: oneOf } : { ...others, oneOf };
  if (!takesText(changed)) return changed;
  const { description, default: standard, ...text } = changed;
  return {
    ...(description === undefined ? {} : { description }),
    ...(standard === undefined ? {} : { default: standard }),
    anyOf: [text, { $ref: '#/$defs/reference' }],
  };
};
