import { createSecret } from '@pipit/core';
import { z } from 'zod';

/** Source: FIPS 198-1 wants a key of the hash's strength; 16 characters are the least that nobody guesses. */
const MIN_SECRET_LENGTH = 16;

const hookSecret = () => z.string().min(MIN_SECRET_LENGTH, `expected at least ${MIN_SECRET_LENGTH} characters`).transform(createSecret);

/** Source: GitHub allows letters, digits, `-`, `_` and `.`; neither part begins with `-`, and `.` and `..` are no names. */
const REPOSITORY_NAME = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,99}\/(?!\.{1,2}$)[A-Za-z0-9_.][A-Za-z0-9_.-]{0,99}$/;

const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

const address = () =>
  z
    .url({ protocol: /^https?$/, error: 'expected an address such as https://github.example.org' })
    .refine((text) => !/[@?#]/.test(text), 'expected an address without user, query and fragment')
    .transform((text) => text.replace(/\/+$/, ''));

const pem = (what: string) =>
  z
    .string()
    .regex(/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+-----END [A-Z ]*PRIVATE KEY-----/, `expected ${what}`)
    .transform((text) => createSecret(`${text.trimEnd()}\n`));

const repository = z.strictObject({
  id: z
    .int()
    .min(1)
    .optional()
    .describe("GitHub's number of the repository. Needed where the API cannot be asked; with it the hook knows a renamed repository."),
  branches: z
    .array(z.string().regex(/^[^\s~^:?[\\/-][^\s~^:?[\\]*$/, 'expected a branch such as main or release/*'))
    .min(1)
    .default(['main'])
    .describe('Branches that are polled beside the webhook; `*` stands for anything but `/`.'),
  secret: hookSecret().optional().describe("Signs this repository's own webhook, beside the instance's secret."),
  previousSecret: hookSecret().optional().describe('Also valid while `secret` of this repository is being replaced.'),
});

const app = z.strictObject({
  id: z.int().min(1).describe('The number of the GitHub App.'),
  installation: z
    .int()
    .min(1)
    .describe('The number of its installation in your organisation: the end of the address of its settings page.'),
  privateKey: pem('the private key of the App (PEM)').describe('The private key of the App (PEM), as $file.'),
});

const ssh = z.strictObject({
  privateKey: pem('a private key of OpenSSH').describe('A deploy key without a passphrase, as $file. It may be read-only.'),
  knownHosts: z
    .string()
    .regex(/\S+ (?:ssh|ecdsa|sk-)\S* \S+/, 'expected lines of a known_hosts file')
    .describe("GitHub's host keys, as lines of a known_hosts file."),
  host: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9.-]*$/, 'expected a host name')
    .optional()
    .describe('Where ssh connects to. Default: the host of `url`.'),
  port: z.int().min(1).max(65_535).default(22).describe('The port of ssh.'),
});

/** One config for the trigger and the notifier. */
export const config = z
  .strictObject({
    url: address().prefault('https://github.com').describe('Where GitHub is. For GitHub Enterprise Server, its address.'),
    apiUrl: address().optional().describe('Where its API is. Default: api.github.com, for Enterprise Server `/api/v3` of `url`.'),
    secret: hookSecret()
      .optional()
      .describe('Signs the webhooks. At least 16 characters, as $env or $file. Without any secret there is no webhook, only polling.'),
    previousSecret: hookSecret().optional().describe('Also valid while `secret` is being replaced. Take it out afterwards.'),
    repositories: z
      .record(z.string().regex(REPOSITORY_NAME, 'expected owner/name'), repository)
      .describe('The repositories whose pushes start runs, by owner/name. The name is the name of the app.'),
    token: z
      .string()
      .regex(/^[\x21-\x7e]+$/, 'expected a token without spaces')
      .transform(createSecret)
      .optional()
      .describe('An access token, as $env or $file.'),
    app: app.optional().describe('A GitHub App, instead of a token.'),
    ssh: ssh.optional().describe('Read the repositories over ssh with this key; the API is still asked with the token or App.'),
  })
  .superRefine((value, context) => {
    if (value.token !== undefined && value.app !== undefined)
      context.addIssue({ code: 'custom', path: ['app'], message: 'expected either a token or an App, not both' });
    const hasCredential = value.token !== undefined || value.app !== undefined;
    for (const key of ['url', 'apiUrl'] as const) {
      const text = value[key];
      if (text === undefined || !hasCredential || !URL.canParse(text)) continue;
      const { protocol, hostname } = new URL(text);
      if (protocol === 'http:' && !LOOPBACK.test(hostname))
        context.addIssue({ code: 'custom', path: [key], message: 'expected https: a token would be sent unencrypted' });
    }
    const names = Object.keys(value.repositories).map((name) => name.toLowerCase());
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined)
      context.addIssue({
        code: 'custom',
        path: ['repositories'],
        message: `${twice} stands here twice: GitHub ignores upper and lower case`,
      });
  });

export type GithubConfig = z.output<typeof config>;

/** What a pipeline says of the notifier, under `with:`. */
export const notifierOptions = z.strictObject({
  statuses: z
    .union([
      z.boolean(),
      z.strictObject({ context: z.string().min(1).max(200).default('pipit').describe('What the status is called at the commit.') }),
    ])
    .default(true)
    .describe('Whether commits get a status; `context` is what it is called (`pipit`).'),
  deployments: z
    .strictObject({
      environment: z.string().min(1).max(255).describe('The environment, for example production.'),
      production: z.boolean().default(true).describe('Whether people use that environment.'),
      transient: z.boolean().default(false).describe('Whether that environment will be gone some day.'),
    })
    .optional()
    .describe('Writes deployments to this environment. Default: none are written.'),
});

export type NotifierOptions = z.output<typeof notifierOptions>;
