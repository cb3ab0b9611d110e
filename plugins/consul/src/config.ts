import { createSecret } from '@pipit/core';
import { z } from 'zod';

const pem = (what: string, label: RegExp) =>
  z.string().regex(label, `expected ${what} in PEM form, with its BEGIN line; give the file as { $file: /path }`);

const certificate = () => pem('certificates', /-----BEGIN CERTIFICATE-----/);

/** Letters that need no escaping in a key, a template or a policy. */
const KEY_PREFIX = /^[A-Za-z0-9][A-Za-z0-9._-]*(?:\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/;

/** Source: what Consul itself accepts as a datacenter's name. */
const DATACENTER = /^[a-z0-9_-]+$/;

const tls = z
  .strictObject({
    ca: certificate().optional().describe("Certificates of the authority that issued the agent's. Default: those that Node knows."),
    cert: certificate().optional().describe("The client's certificate, where the agent wants one (`verify_incoming`). Needs `key`."),
    key: pem('a private key', /-----BEGIN [A-Z ]*PRIVATE KEY-----/)
      .transform(createSecret)
      .optional()
      .describe('The private key of `cert`. Always a reference.'),
    serverName: z
      .string()
      .min(1)
      .optional()
      .describe('The name in the agent’s certificate where it is not the one in `url`, such as server.dc1.consul.'),
  })
  .refine(({ cert, key }) => (cert === undefined) === (key === undefined), 'expected cert and key together');

/** One config for both kinds of this plugin. */
export const config = z
  .strictObject({
    url: z
      .url({ protocol: /^https?$/, error: 'expected an address such as http://127.0.0.1:8500' })
      .default('http://127.0.0.1:8500')
      .describe('Where a Consul agent answers; best the one of the machine that pipit runs on.'),
    token: z
      .string()
      .min(1, 'expected a token')
      .transform(createSecret)
      .optional()
      .describe('The ACL token with the rights of the server policy below. Always a reference.'),
    datacenters: z
      .array(z.string().regex(DATACENTER, 'expected the name of a data centre, such as dc1'))
      .min(1)
      .refine((names) => new Set(names).size === names.length, 'expected each data centre once')
      .optional()
      .describe("Data centres whose hosts are looked for. The first also keeps the advertised versions. Default: the agent's own."),
    prefix: z
      .string()
      .regex(KEY_PREFIX, 'expected a key prefix such as pipit, without a slash at its ends')
      .max(200)
      .default('pipit')
      .describe('Where advertised versions stand: <prefix>/<app>/<role>/<ring>/version.'),
    address: z
      .enum(['node', 'service'])
      .default('node')
      .describe('Which address of a host pipit uses: its node’s, or the one its service registered (for services that run beside sshd).'),
    tls: tls.optional().describe('For an agent that answers by https.'),
  })
  .refine(({ url, tls: given }) => given === undefined || url.startsWith('https:'), {
    path: ['tls'],
    message: 'expected an address with https: in url',
  });

export type ConsulConfig = z.output<typeof config>;

/** What one pipeline says of its hosts (`with:` beside `use:`). */
export const discoveryOptions = z.strictObject({
  service: z
    .string()
    .min(1)
    .max(200)
    .regex(/^[^\p{Cc}\s/?#]+$/u, 'expected the name of a service')
    .optional()
    .describe('The Consul service whose members bear the tags of rings. Default: the name of the app.'),
});

export type DiscoveryOptions = z.output<typeof discoveryOptions>;
