import { z } from 'zod';

/** What stands under `with:` of an instance that names its program itself. */
export const config = z.strictObject({
  program: z
    .string()
    .regex(/^\/[^\p{Cc}]*$/u, 'expected an absolute path')
    .describe('The program, as an absolute path.'),
  config: z.record(z.string(), z.unknown()).default({}).describe("The program's own config; its schema is the program's."),
});

export type ExecConfig = z.output<typeof config>;

/** The program looks at its options itself. */
export const options = z.looseObject({});
