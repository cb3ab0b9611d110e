import { createSecret } from '@pipit/core';
import { z } from 'zod';
import { duration } from './measured-text.js';

/** A quote, a backslash or a control character cannot be written into ssh's own configuration. */
const absolutePath = () =>
  z.string().regex(/^\/[^\p{Cc}"\\]*$/u, 'expected an absolute path without quotes, backslashes and control characters');

/** Source: useradd(8), which is stricter than most systems; never a leading `-`. */
const USER = '[A-Za-z_][A-Za-z0-9_.-]*';
const JUMP = new RegExp(`^(?:${USER}@)?(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]+\\])(?::[0-9]{1,5})?$`);

const port = () => z.int().min(1).max(65_535);

/** One config for both kinds of this plugin. */
export const config = z.strictObject({
  client: z
    .enum(['openssh', 'ssh2'])
    .default('openssh')
    .describe(
      "What speaks with the hosts. `openssh`: the machine's own ssh, one a command over a shared connection. `ssh2`: connections inside pipit, for large fleets.",
    ),
  user: z
    .string()
    .regex(new RegExp(`^${USER}$`), 'expected a user name')
    .optional()
    .describe('Who logs in on the hosts. Default: what ssh_config says, else the user that pipit runs as.'),
  port: port().optional().describe("The hosts' port. Default: what ssh_config says, else 22."),
  sudo: z
    .boolean()
    .default(false)
    .describe('Whether what needs root goes through `sudo -n`. Without it the user has to be root where root is needed.'),
  identity: z
    .string()
    .regex(/^-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----\s/, 'expected a private key as ssh-keygen writes it')
    .transform(createSecret)
    .optional()
    .describe('The private key, as $file or $env, without a passphrase. Only this key is then offered.'),
  agent: absolutePath().optional().describe('The socket of an ssh agent. Default: what ssh_config says.'),
  sshConfig: z
    .union([absolutePath(), z.literal('none')])
    .optional()
    .describe("An ssh_config file that is read in place of the user's and the system's, or `none`. What this config says goes before it."),
  jump: z
    .array(z.string().regex(JUMP, 'expected a host as [user@]host[:port]'))
    .min(1)
    .optional()
    .describe('Hosts to go through, first to last. Default: what ssh_config says.'),
  hostKeys: z
    .enum(['strict', 'record-new'])
    .default('strict')
    .describe(
      '`strict`: only hosts whose key is known. `record-new`: the key of a host not seen before is recorded; a changed key is always refused.',
    ),
  knownHosts: z.string().min(1).optional().describe('Lines of an OpenSSH known_hosts file, also with `@cert-authority`.'),
  knownHostsFile: absolutePath().optional().describe("A known_hosts file. Without it and `knownHosts`, the user's own is read."),
  program: z
    .string()
    .regex(/^(?:\/[^\p{Cc}]*|[A-Za-z0-9_.-]+)$/u, 'expected a program')
    .default('ssh')
    .describe('The OpenSSH client, 8.0 or newer.'),
  connectTimeout: duration().prefault('10s').describe('How long a host has to answer until the login is done, for each try.'),
  tries: z.int().min(1).max(10).default(3).describe('How often a connection is tried that the host drops or that does not come about.'),
  keepAlive: duration()
    .prefault('5s')
    .describe('How often a silent host is asked for a sign of life; after three without an answer it is cut off.'),
  persist: duration().prefault('60s').describe('How long the connection to a host stays open unused.'),
  connections: z
    .strictObject({
      total: z.int().min(1).max(1_000).default(64).describe('How many commands run over ssh at the same time.'),
      perHost: z.int().min(1).max(100).default(8).describe("How many of them on one host; sshd's own limit is 10 (MaxSessions)."),
    })
    .prefault({})
    .describe('Limits of what is open at once.'),
  parallel: z.int().min(1).max(256).default(32).describe('How many hosts the deployer speaks with at the same time.'),
  installLimit: duration()
    .prefault('10m')
    .describe('How long an install on a host may take; what is still at work then is ended, with all its processes.'),
  cutOffAfter: duration()
    .prefault('10m')
    .describe('How long a host that was cut off during an install is asked again, before it is reported as not reachable.'),
});

export type SshConfig = z.output<typeof config>;
