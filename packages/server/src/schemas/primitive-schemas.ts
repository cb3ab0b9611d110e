import type { Digest, Json } from '@pipit/core';
import type { CreateTokenCommand } from '@pipit/runtime';
import { z } from 'zod';

/**
 * Names of what the API answers with, for `components.schemas` of the OpenAPI document. Its own registry and not zod's global one:
 * a program may hold two servers, or use zod for itself.
 */
export const apiRegistry = z.registry<{ id: string }>();

/** Gives a schema its name in the OpenAPI document. */
export const named = <T>(id: string, schema: z.ZodType<T>): z.ZodType<T> => {
  apiRegistry.add(schema, { id });
  return schema;
};

/** An id or another parsed text. Cast: what pipit answers has passed core's parsers on its way in, and JSON keeps no brand. */
export const branded = <T extends string>(): z.ZodType<T> => z.string() as z.ZodType<string> as z.ZodType<T>;

export const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/) as z.ZodType<string> as z.ZodType<Digest>; // the pattern proves it

/** Any JSON. Cast: both sides of the wire made it by JSON.stringify. */
export const json = z.unknown() as z.ZodType<Json>;

export const labels = z.record(z.string(), z.string());

export const tokenPreset: z.ZodType<CreateTokenCommand['preset']> = z.enum(['read', 'deliver', 'admin']);
