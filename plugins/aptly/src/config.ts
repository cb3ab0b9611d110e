import { createSecret } from '@pipit/core';
import { isArmouredKey } from '@pipit/plugin-kit';
import { z } from 'zod';

/** gpg-agent's sockets lie below `<root>/gnupg`, and a Unix socket's path has 108 bytes. Source: unix(7). */
const MAX_ROOT_LENGTH = 70;

const secret = () => z.string().min(1).transform(createSecret);

const absolutePath = () => z.string().regex(/^\/[A-Za-z0-9/._+@-]*[A-Za-z0-9._+@-]$/, 'expected an absolute path without spaces');

const api = z.strictObject({
  url: z.url({ protocol: /^https?$/, error: 'expected an http: or https: address' }).describe('Where `aptly api serve` answers.'),
  user: z.string().min(1).optional().describe('For basic authentication by a proxy in front of the API.'),
  password: secret().optional().describe('Belongs to `user`. Give it as $env or $file.'),
  token: secret().optional().describe('Sent as `Authorization: Bearer`, instead of user and password. Give it as $env or $file.'),
});

/** Of the whole instance; a pipeline says nothing more. */
export const config = z
  .strictObject({
    root: absolutePath()
      .max(MAX_ROOT_LENGTH)
      .optional()
      .describe(
        "aptly's folder at the place where the repository works: pipit-aptly.conf, db, pool, public, gnupg. Made when it is not there. Needed without `api`.",
      ),
    api: api.optional().describe('Work through a running `aptly api serve` instead of the command.'),
    url: z
      .string()
      .regex(/^(?:https?:\/\/|file:\/)[^\s\p{Cc}[\]]+$/u, 'expected an http:, https: or file: address without spaces')
      .optional()
      .describe(
        'Where hosts reach the published repository. Default: `file:<root>/public`. Needed with `api`, and pipit reads it then too.',
      ),
    key: z
      .string()
      .regex(/^(?:create|[0-9A-F]{16}|[0-9A-F]{40})$/, 'expected create, or the id or fingerprint of a key in capital letters')
      .default('create')
      .describe(
        '`create`: a key without a passphrase, made in `<root>/gnupg` on the first use. Else the id or fingerprint of a key that is there. With `api` a key must be named.',
      ),
    gnupgHome: absolutePath().optional().describe('The GNUPGHOME that holds a named key. Default: `<root>/gnupg`.'),
    publicKeys: z
      .array(z.string().refine(isArmouredKey, 'expected an armoured public key (gpg --armor --export)'))
      .min(1)
      .optional()
      .describe(
        "What hosts trust: the old and the new key while one rotates. Default: the key's public half, exported at the place. Needed with `api`.",
      ),
    repo: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9.-]*$/, 'expected letters, digits, "." and "-"')
      .default('pipit')
      .describe("The aptly local repository that holds this instance's packages; made when it is not there. Nothing else may add to it."),
    keepVersions: z
      .int()
      .min(2)
      .default(50)
      .describe(
        'How many versions of a package stay published, besides those that a ring is offered. Those of the oldest commits go first.',
      ),
    architectures: z
      .array(z.string().regex(/^(?!all$)[a-z0-9][a-z0-9-]*$/, "expected an architecture in Debian's words, such as amd64"))
      .min(1)
      .default(['amd64', 'arm64'])
      .describe("The hosts' architectures, in Debian's words."),
  })
  .superRefine((value, context) => {
    const need = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (value.api === undefined) {
      if (value.root === undefined) need('root', 'is needed where `api` is not given');
      return;
    }
    if (value.url === undefined) need('url', 'is needed with `api`: pipit reads there what hosts read');
    if (value.publicKeys === undefined) need('publicKeys', 'is needed with `api`, which gives no key out');
    if (value.key === 'create') need('key', "must name a key of the server's user: the API makes none");
    if (value.root !== undefined) need('root', 'has no meaning with `api`');
    if (value.gnupgHome !== undefined) need('gnupgHome', 'has no meaning with `api`');
  });

export type AptlyConfig = z.output<typeof config>;
