import { createSecret } from '@pipit/core';
import { z } from 'zod';
import { byteSize, duration } from './measured-text.js';

/** Source: FIPS 198-1 wants a key of the hash's strength; 16 characters are the least that nobody guesses. */
const MIN_SECRET_LENGTH = 16;

const secret = () => z.string().min(MIN_SECRET_LENGTH, `expected at least ${MIN_SECRET_LENGTH} characters`).transform(createSecret);

const absolutePath = () => z.string().regex(/^\/[^\0]*$/, 'expected an absolute path');

const repository = z.strictObject({
  path: absolutePath().describe('The bare git repository on this machine.'),
  branches: z
    .array(z.string().regex(/^[^\s~^:?[\\-][^\s~^:?[\\]*$/, 'expected a branch such as main or release/*'))
    .min(1)
    .default(['main'])
    .describe('Branches that are polled beside the webhook; `*` stands for anything but `/`.'),
});

/** One config for all kinds of this plugin. */
export const config = z.strictObject({
  secret: secret().describe("Signs the webhook of the repositories' post-receive hooks. At least 16 characters; give it as $env or $file."),
  previousSecret: secret().optional().describe('Also valid while `secret` is being replaced. Take it out afterwards.'),
  repositories: z
    .record(z.string().min(1).max(200), repository)
    .describe('The repositories whose pushes start runs, by name, for example acme/web. The last segment is the name of the app.'),
  inventory: absolutePath().describe('The YAML file that lists the hosts and their tags.'),
  build: z
    .strictObject({
      timeLimit: duration().prefault('30m').describe('How long script/cisetup and script/cibuild may run together.'),
      maxOutput: byteSize().prefault('10MiB').describe('How much script/cisetup and script/cibuild may print together.'),
    })
    .prefault({})
    .describe('Limits of the CI.'),
  maintainer: z
    .string()
    .regex(/^[^\p{Cc}<>]+ <[^\p{Cc}<>\s]+>$/u, 'expected a name and a mail address: Ada <ada@example.org>')
    .default('pipit <pipit@localhost>')
    .describe('The field Maintainer of packages.'),
  keepVersions: z
    .int()
    .min(2)
    .default(50)
    .describe('How many versions of a package stay in the APT repository, besides those that a ring is offered.'),
  architectures: z
    .array(z.string().regex(/^[a-z0-9][a-z0-9-]*$/, "expected an architecture in Debian's words, such as amd64"))
    .min(1)
    .optional()
    .describe("The hosts' architectures, in Debian's words. Default: this machine's."),
  url: z
    .string()
    .regex(/^https?:\/\/[^\s\p{Cc}[\]]+$/u, 'expected an http: or https: address without spaces')
    .optional()
    .describe(
      'Where hosts reach the folder `apt` of this instance, which a web server serves. Default: a file: address, for hosts on this machine.',
    ),
  parallel: z.int().min(1).max(256).default(8).describe('How many hosts are installed at the same time.'),
  installLimit: duration()
    .prefault('10m')
    .describe('How long an install on a host may take; what is still at work then is ended, with all its processes.'),
});

export type LocalConfig = z.output<typeof config>;
