import { isArmouredKey } from '@pipit/plugin-kit';
import { z } from 'zod';

/** gpg-agent's sockets lie below `<root>/gnupg`, and a Unix socket's path has 108 bytes. Source: unix(7). */
const MAX_ROOT_LENGTH = 70;

// Freight's scripts split unquoted paths at spaces.
const absolutePath = () => z.string().regex(/^\/[A-Za-z0-9/._+@-]*[A-Za-z0-9._+@-]$/, 'expected an absolute path without spaces');

const distributionName = () => z.string().regex(/^[a-z0-9][a-z0-9_.-]*$/, 'expected lower-case letters, digits, "_", "." and "-"');

/** Of the whole instance; a pipeline says nothing more. */
export const config = z
  .strictObject({
    root: absolutePath()
      .max(MAX_ROOT_LENGTH)
      .optional()
      .describe(
        'A folder at the place where the repository works, for a Freight of its own: pipit-freight.conf, lib (VARLIB), cache (VARCACHE), gnupg. Made when it is not there. Give this or `conf`.',
      ),
    conf: absolutePath()
      .optional()
      .describe('A freight.conf that is there already. It must set VARLIB, VARCACHE and GPG. Give this or `root`.'),
    program: z
      .string()
      .regex(/^(?:freight|\/[A-Za-z0-9/._+@-]+)$/, 'expected freight or an absolute path')
      .default('freight')
      .describe('The freight command.'),
    url: z
      .string()
      .regex(/^(?:https?:\/\/|file:\/)[^\s\p{Cc}[\]]+$/u, 'expected an http:, https: or file: address without spaces')
      .optional()
      .describe('Where hosts reach VARCACHE. The web server must follow symbolic links. Default: `file:<VARCACHE>`.'),
    key: z
      .string()
      .regex(/^(?:create|[0-9A-F]{16}|[0-9A-F]{40})$/, 'expected create, or the id or fingerprint of a key in capital letters')
      .default('create')
      .describe(
        'With `root`: `create` makes a key without a passphrase in `<root>/gnupg` on the first use; else the id or fingerprint of a key in `gnupgHome`. With `conf` its GPG says it.',
      ),
    gnupgHome: absolutePath().optional().describe('The GNUPGHOME that Freight signs with. Default: `<root>/gnupg`. Needed with `conf`.'),
    publicKeys: z
      .array(z.string().refine(isArmouredKey, 'expected an armoured public key (gpg --armor --export)'))
      .min(1)
      .optional()
      .describe("What hosts trust: the old and the new key while one rotates. Default: the signing key's public half."),
    published: distributionName().default('published').describe('The distribution that lists every version; no host reads it.'),
    prefix: z
      .union([z.literal(''), distributionName()])
      .default('')
      .describe("Stands before the name of each ring's distribution, where several pipits share one Freight."),
    keepVersions: z
      .int()
      .min(2)
      .default(50)
      .describe('How many versions of a package stay published, besides those that a ring is offered; the first published go first.'),
    architectures: z
      .array(z.string().regex(/^(?!all$)[a-z0-9][a-z0-9-]*$/, "expected an architecture in Debian's words, such as amd64"))
      .min(1)
      .default(['amd64', 'arm64'])
      .describe("With `root`: the hosts' architectures, in Debian's words. With `conf` its ARCHS says it."),
  })
  .superRefine((value, context) => {
    const need = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if ((value.root === undefined) === (value.conf === undefined)) need('root', 'give either `root` or `conf`');
    if (value.conf !== undefined && value.gnupgHome === undefined) need('gnupgHome', 'is needed with `conf`');
    if (value.conf !== undefined && value.key !== 'create') need('key', 'has no meaning with `conf`: its GPG names the key');
  });

export type FreightConfig = z.output<typeof config>;
