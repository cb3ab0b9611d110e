import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { apiRegistry } from './schemas/primitive-schemas.js';

/** Describes every route that is registered after it, out of the schemas that check its requests. */
export const describeApi = (app: FastifyInstance, version: string): void => {
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'pipit', version, description: 'Canary delivery of operating-system packages to fleets of hosts' },
      components: {
        securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'Shown once, at the first start of pipit' } },
      },
    },
    transform: createJsonSchemaTransform({ schemaRegistry: apiRegistry }),
    transformObject: createJsonSchemaTransformObject({ schemaRegistry: apiRegistry }),
  });
};
