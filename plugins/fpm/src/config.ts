import { z } from 'zod';

/** One line that could not begin another field of a package. */
const oneLine = (expected: string) => z.string().regex(/^[^\p{Cc}\u2028\u2029]+$/u, expected);

const formats = () => z.array(z.enum(['deb', 'rpm'])).min(1);

const exclude = () => z.array(oneLine('expected a pattern in one line').max(1_000));

/** What stands under `with:` of the instance. */
export const config = z.strictObject({
  formats: formats().default(['deb']).describe('What is made of each commit: `deb`, `rpm` or both.'),
  maintainer: z
    .string()
    .regex(/^[^\p{Cc}<>]+ <[^\p{Cc}<>\s]+>$/u, 'expected a name and a mail address: Ada <ada@example.org>')
    .default('pipit <pipit@localhost>')
    .describe('Maintainer of a deb, Packager of an rpm.'),
  vendor: oneLine('expected a name in one line').optional().describe('The field Vendor. Default: none.'),
  license: oneLine('expected a licence in one line').default('unknown').describe('The field License.'),
  homepage: z
    .url({ protocol: /^https?$/ })
    .default('https://localhost/')
    .describe('Homepage of a deb, URL of an rpm.'),
  exclude: exclude().default([]).describe('Paths that are left out, as patterns of `fpm --exclude`, for example `opt/web/test/*`.'),
  program: z
    .string()
    .regex(/^[^-\p{Cc}][^\p{Cc}]*$/u, 'expected the name or the path of a program')
    .default('fpm')
    .describe('FPM where it runs: a name on the PATH, or an absolute path.'),
  gemFolder: z
    .string()
    .regex(/^\/[^\p{Cc}]*$/u, 'expected an absolute path')
    .optional()
    .describe('The folder of `gem install --install-dir`, where FPM was installed so. Default: where gems are by themselves.'),
});

export type FpmConfig = z.output<typeof config>;

/** What stands under `with:` of a pipeline's `packager:` slot. */
export const options = z.strictObject({
  formats: formats().optional().describe("What this pipeline's packages are made as. Default: the instance's formats."),
  exclude: exclude().default([]).describe("Left out beside what the instance's `exclude` says."),
});

export type FpmOptions = z.output<typeof options>;
