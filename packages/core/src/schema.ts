import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec';

/**
 * A schema that validates (Standard Schema) and describes itself (Standard JSON Schema). Zod 4.2 and newer, ArkType and Valibot
 * with their converters are such schemas. The config package uses the first face to check a config and the second for editor completion.
 *
 * @typeParam Output what the plugin gets after validation
 * @typeParam Input what the user writes in the config file
 */
export type Schema<Output, Input = unknown> = StandardSchemaV1<Input, Output> & StandardJSONSchemaV1<Input, Output>;

/** The type a schema validates to. */
export type OutputOf<S extends StandardSchemaV1> = StandardSchemaV1.InferOutput<S>;
