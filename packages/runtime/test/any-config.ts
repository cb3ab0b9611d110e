import type { Schema } from '@pipit/core';

/** A schema that takes any object as it is. */
export const anyConfig: Schema<Readonly<Record<string, unknown>>> = {
  '~standard': {
    version: 1,
    vendor: 'pipit-test',
    validate: (value) => ({ value: value as Readonly<Record<string, unknown>> }), // takes anything, as its name says
    jsonSchema: { input: () => ({ type: 'object' }), output: () => ({ type: 'object' }) },
  },
};
