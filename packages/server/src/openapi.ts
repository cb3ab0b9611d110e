import { STATUS_CODES } from 'node:http';
import swagger, { type SwaggerTransformObject } from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { apiRegistry } from './schemas/primitive-schemas.js';

const options = {
  schemaRegistry: apiRegistry,
  zodToJsonConfig: {
    override: ({ zodSchema, jsonSchema }: { readonly zodSchema: unknown; readonly jsonSchema: { description?: string } }) => {
      // `.describe` writes into zod's global registry, which is not the one that names our schemas.
      const description = zodSchema instanceof z.ZodType ? zodSchema.description : undefined;
      if (description !== undefined) jsonSchema.description = description;
    },
  },
};

/** As much of an OpenAPI document as is bettered here. */
interface Operation {
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema?: { readonly required?: readonly string[] } }>> };
}

interface Described {
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

const mapValues = <T, R>(of: Readonly<Record<string, T>>, change: (value: T, key: string) => R): Record<string, R> =>
  Object.fromEntries(Object.entries(of).map(([key, value]) => [key, change(value, key)]));

const describeOperation = ({ responses, requestBody, ...operation }: Operation) => ({
  ...operation,
  responses: mapValues(responses, (response, status) =>
    response.description === 'Default Response' ? { ...response, description: STATUS_CODES[status] ?? status } : response,
  ),
  ...(requestBody === undefined
    ? {}
    : {
        requestBody: {
          ...requestBody,
          // A command whose every field may be left out may come without a body.
          required: Object.values(requestBody.content).some(({ schema }) => (schema?.required ?? []).length > 0),
        },
      }),
});

const addComponents = createJsonSchemaTransformObject(options);

const finish: SwaggerTransformObject = (given) => {
  const document = addComponents(given);
  // Cast: the transform's type holds every version of OpenAPI; this is of 3.1, as swagger has just made it out of our routes.
  const { components, paths } = document as unknown as Described;
  // Each schema is made twice, as what is sent and what is answered; the named ones are answered only.
  const schemas = Object.entries(components.schemas).filter(([name]) => !name.endsWith('Input'));
  return Object.assign({}, document, {
    components: { ...components, schemas: Object.fromEntries(schemas) },
    paths: mapValues(paths, (methods) => mapValues(methods, describeOperation)),
  });
};

/** Describes every route that is registered after it, out of the schemas that check its requests. */
export const describeApi = (app: FastifyInstance, version: string): void => {
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'pipit', version, description: 'Canary delivery of operating-system packages to fleets of hosts' },
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer', description: 'Made by `pipit token create`, and at the first start of pipit' },
        },
      },
    },
    transform: createJsonSchemaTransform(options),
    transformObject: finish,
  });
};
