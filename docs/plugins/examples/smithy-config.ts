import { createSecret } from '@pipit/core';
import { z } from 'zod';

/** What stands under `with:` of the instance. */
export const smithyConfig = z.object({
  url: z.url().describe('Where Smithy answers, for example https://smithy.example.org'),
  token: z.string().min(1).transform(createSecret).describe('An API token that may start builds'),
});

/** What stands under `with:` of a pipeline's `ci:` slot. */
export const smithyOptions = z.object({
  project: z.string().min(1).describe('The Smithy project'),
});

export type SmithyConfig = z.output<typeof smithyConfig>;
export type SmithyOptions = z.output<typeof smithyOptions>;
