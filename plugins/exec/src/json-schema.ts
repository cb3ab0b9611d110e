import { createSecret, isSecret, type Schema } from '@pipit/core';
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';

type JsonSchema = Readonly<Record<string, unknown>>;

const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Texts under `writeOnly: true` become secrets: they are never printed, and pipit refuses literal text for them. */
const wrapSecrets = (schema: unknown, value: unknown): unknown => {
  if (!isMapping(schema)) return value;
  if (schema.writeOnly === true && typeof value === 'string') return createSecret(value);
  if (Array.isArray(value)) return value.map((one) => wrapSecrets(schema.items, one));
  if (!isMapping(value)) return value;
  const properties = isMapping(schema.properties) ? schema.properties : {};
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [
      key,
      wrapSecrets(Object.hasOwn(properties, key) ? properties[key] : schema.additionalProperties, one),
    ]),
  );
};

/** The plain texts again, for the program's standard input only. */
export const revealSecrets = (value: unknown): unknown => {
  if (isSecret(value)) return value.reveal();
  if (Array.isArray(value)) return value.map(revealSecrets);
  if (!isMapping(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, revealSecrets(one)]));
};

const issueOf = ({ instancePath, message = 'is not valid', params, keyword }: ErrorObject) => ({
  message: keyword === 'additionalProperties' ? `has an unknown key ${JSON.stringify(params.additionalProperty)}` : message,
  path: instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part)),
});

/** Nothing may be configured. */
export const NOTHING: JsonSchema = { type: 'object', properties: {}, additionalProperties: false };

/**
 * A JSON Schema (draft 2020-12) as pipit takes schemas. Defaults are filled in.
 *
 * @throws an Error of ajv when it is no JSON Schema
 */
export const schemaOf = (jsonSchema: JsonSchema): Schema<unknown> => {
  const check = new Ajv2020({ allErrors: true, useDefaults: true, strict: false, validateFormats: false, logger: false }).compile(
    jsonSchema,
  );
  return {
    '~standard': {
      version: 1,
      vendor: 'pipit-exec',
      validate: (value) => {
        const copy: unknown = structuredClone(value);
        if (check(copy)) return { value: wrapSecrets(jsonSchema, copy) };
        return { issues: (check.errors ?? []).map(issueOf) };
      },
      jsonSchema: { input: () => ({ ...jsonSchema }), output: () => ({ ...jsonSchema }) },
    },
  };
};
