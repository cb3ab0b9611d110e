import { normalize } from 'node:path/posix';
import { createSecret, isPluginError, parseAppName, parseHostAddress, parseRingName, parseRoleName } from '@pipit/core';
import * as z from 'zod';
import { BYTE_SIZE_PATTERN, parseByteSize } from './byte-size.js';
import { DURATION_PATTERN, parseDurationMs } from './duration.js';

/** Instance and pipeline names stand in addresses (`/hooks/<instance>`), folders and tables. */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9-]{0,59}$/;
const name = z.string().regex(NAME_PATTERN, 'A name has lower-case letters, digits and "-", at most 60 characters');

/** A text that one of the parsers accepts. Its value is never quoted in a problem, since it may come from a reference. */
export const parsed = <T>(what: string, parse: (text: string) => T, input: z.ZodString = z.string()) =>
  input.transform((text, context): T => {
    try {
      return parse(text);
    } catch (error) {
      if (!isPluginError(error)) throw error;
      context.issues.push({ code: 'custom', message: `Not a valid ${what}`, input: text, params: { code: error.code, hint: error.hint } });
      return z.NEVER;
    }
  });

const duration = () => parsed('duration', parseDurationMs, z.string().meta({ pattern: DURATION_PATTERN, examples: ['30s', '30m', '2h'] }));
const byteSize = () => parsed('size', parseByteSize, z.string().meta({ pattern: BYTE_SIZE_PATTERN, examples: ['512MiB', '2GiB'] }));
export const role = () => parsed('role', parseRoleName);
const text = () => z.string().min(1, 'Must not be empty');
const globs = () => z.array(text()).min(1, 'At least one pattern is needed');
/** A name, an IPv4 or an IPv6 address. */
const HOST_PATTERN = /^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*)$/i;
const network = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], 'An address or network, for example 10.0.0.0/8');
const networks = (description: string) => z.array(network).default([]).describe(description);
const port = () => z.int().min(1).max(65_535);

const PORT = /:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})$/;
const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const IPV4_NETWORK = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}(?:/(?:3[0-2]|[12]?[0-9]))?$`);
/** Source: RFC 1123, 2.1. A name of digits and dots alone would be taken for an address. */
const HOST_NAME = /^(?=.{1,253}$)(?=.*[A-Za-z])[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*$/;
/** A network of its own has its own loopback. */
const LOOPBACK = /^(?:127\.|0\.|localhost$|.*\.localhost$)/i;

/** For example 10.1.2.3, 10.1.0.0/16, npm.internal or npm.internal:4873. */
const allowedAddress = () =>
  text()
    .transform((written) => ({ host: written.replace(PORT, ''), ...(PORT.test(written) ? { port: Number(PORT.exec(written)?.[1]) } : {}) }))
    .refine(
      ({ host }) => IPV4_NETWORK.test(host) || (HOST_NAME.test(host) && !host.startsWith('-')),
      'Expected an IPv4 address, a network or a name, for example 10.1.2.3, 10.1.0.0/16 or npm.internal:4873',
    )
    .refine(
      ({ host }) => !LOOPBACK.test(host),
      "This machine's loopback is in no sandbox of its own network: use an address of its network, or network: full",
    );

const MIB = 1024 ** 2;

const atLeast = (leastBytes: number) => byteSize().refine((bytes) => bytes >= leastBytes, `At least ${leastBytes / MIB}MiB`);

/** `/` would show everything, and the others would show every process and device. */
const readablePath = () =>
  z
    .string()
    .regex(/^\/[^\0]*$/, 'Expected an absolute path')
    .refine(
      (path) => !/^\/(?:(?:proc|sys|dev)(?:\/.*)?)?$/.test(normalize(path)),
      'The sandbox never shows /, /proc, /sys or /dev of the machine',
    );

const within = () => duration().prefault('30s').describe('How long a host has to become healthy. Default: 30s.');
export const health = z
  .discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('http'),
      port: port(),
      path: z.string().regex(/^\//, 'Must begin with "/"').default('/').describe('Default: /'),
      within: within(),
    }),
    z.strictObject({ type: z.literal('tcp'), port: port(), within: within() }),
    z.strictObject({ type: z.literal('command'), argv: z.array(text()).min(1, 'At least the command is needed'), within: within() }),
  ])
  .describe('Asked of each host after an install.');

const options = z.record(z.string(), z.unknown()).optional().describe('Options of this pipeline for the plugin.');
const slotShape = { use: name.describe('An instance of `plugins`, or the short name of a plugin.'), with: options };

const on = z
  .strictObject({
    host: parsed('host address', parseHostAddress).optional().describe('A host name or address that the transport reaches.'),
    service: name.optional().describe('An available host of this service, as discovery knows it.'),
  })
  .transform((written, context) => {
    const { host, service } = written;
    if (host !== undefined && service === undefined) return { host };
    if (service !== undefined && host === undefined) return { service };
    // A misspelt key has been reported.
    if (context.issues.length > 0) return z.NEVER;
    context.issues.push({ code: 'custom', message: 'Either "host" or "service" is needed, and not both', input: written });
    return z.NEVER;
  })
  .describe('Where the plugin works. Default: on the machine of pipit.');

const slot = (description: string) => z.union([name, z.strictObject(slotShape)]).describe(description);

/** A slot whose plugin may work on another host. */
const placedSlot = (description: string) => z.union([name, z.strictObject({ ...slotShape, on: on.optional() })]).describe(description);

const triggerSlot = z
  .union([
    name,
    z.strictObject({
      ...slotShape,
      when: text().optional().describe("A CEL expression over `event`, for example event.branch == 'main'."),
      branches: globs().optional().describe('Globs of branch names. Default: main and master, unless `tags` or `when` is given.'),
      tags: globs().optional().describe('Globs of tag names. Default: no tag.'),
      paths: globs().optional().describe('Globs of file paths; one changed file has to match. Default: any.'),
    }),
  ])
  .describe('Tells of pushes.');

const minHealthy = z
  .union([
    z.int().min(1, 'At least one host has to be healthy'),
    z.string().regex(/^(?:[1-9]\d?|100)%$/, 'Expected a number of hosts, or a share from 1% to 100%'),
  ])
  .describe("How many of a ring's hosts must be healthy for its release to count as verified. Default: at least one, and half.");

const ring = z.strictObject({
  name: parsed('ring name', parseRingName).describe('For example canary.'),
  bake: duration().prefault('0s').describe('How long the ring is watched before its release may go on. Default: 0s.'),
  minHealthy: minHealthy.optional(),
  promotion: z.enum(['manual', 'automatic']).optional().describe('How the ring is entered from the one before. Default: manual.'),
  onFailure: z
    .enum(['rollback', 'stop'])
    .default('rollback')
    .describe('What happens to the ring when its rollout fails. Default: rollback.'),
});

const pipeline = z.strictObject({
  repositories: globs().describe('Globs of repository names, for example acme/*.'),
  trigger: triggerSlot,
  ci: placedSlot('Builds and tests the commit.'),
  packager: placedSlot('Makes the package.'),
  repository: placedSlot('Keeps packages and shows them to rings.'),
  discovery: slot('Knows which hosts there are.'),
  advertiser: slot('Where advertised versions live. Default: the discovery instance.').optional(),
  deployer: placedSlot('Brings hosts to a release.'),
  transport: slot('Reaches other hosts, for `on`. Default: the deployer, if it can, else the only instance that can.').optional(),
  notify: z.array(slot('Told of each change of a run.')).default([]).describe('Whom to tell of each change of a run. Default: nobody.'),
  role: role().prefault('app').describe('Which part of the hosts. Default: app.'),
  patience: duration()
    .prefault('15m')
    .describe('How long a run waits for a fault that may pass (a full disk, a part that does not answer) before it fails. Default: 15m.'),
  rings: z
    .array(ring)
    .min(1, 'At least one ring is needed')
    .prefault([{ name: 'canary' }, { name: 'production' }])
    .describe('In order; each is fed only from the one before. Default: canary, then production.'),
  health: health.optional(),
  apps: z
    .record(
      parsed('app name', parseAppName),
      z.strictObject({
        role: role().optional(),
        health: health.optional(),
        takeOver: z
          .boolean()
          .optional()
          .describe("Whether the app may take the place of a package of its name that is on a host and is not pipit's. Default: false."),
      }),
    )
    .optional()
    .describe('What one app needs differently.'),
});

/** The part of the config file that is pipit's own; what stands under `with` is checked by the plugins. */
export const coreConfigSchema = z.strictObject({
  version: z.literal(1).default(1).describe("The file format's version. Default: 1."),
  dataFolder: text().optional().describe("Where pipit keeps its data; relative to this file's folder."),
  server: z
    .strictObject({
      host: text().default('127.0.0.1').describe('Address to listen on. Default: 127.0.0.1.'),
      port: z.int().min(0).max(65_535).default(7420).describe('0 takes a free one. Default: 7420.'),
      publicUrl: z
        .url({ protocol: /^https?$/, error: 'Not an http or https address' })
        .optional()
        .describe('Where webhooks and people reach pipit.'),
      hosts: z
        .array(z.string().regex(HOST_PATTERN, 'A host name or address, without a port'))
        .default([])
        .describe('More names and addresses by which pipit is reached. Default: its own address, publicUrl and localhost only.'),
      trustedProxies: networks('Reverse proxies whose X-Forwarded-For is believed. Default: none.'),
      metrics: z
        .strictObject({ allow: networks('Addresses and networks that may read /metrics without a token. Default: none.') })
        .prefault({}),
      public: z
        .array(z.enum(['apps', 'runs']))
        .default([])
        .describe('What anyone may read without a token, without hosts, people and messages. Default: nothing.'),
    })
    .prefault({}),
  database: z
    .strictObject({
      url: text()
        .transform(createSecret)
        .optional()
        .describe('The address of an external PostgreSQL; always a reference. Default: an embedded one in the data folder.'),
      ownerUrl: text()
        .transform(createSecret)
        .optional()
        .describe("The same database as another role, which makes pipit's tables and owns them; always a reference. Default: that of url."),
      giveUpAfter: duration()
        .prefault('15m')
        .describe('How long `pipit serve` waits for a database that is away before it ends with exit code 5. Default: 15m.'),
    })
    .refine(({ url, ownerUrl }) => url !== undefined || ownerUrl === undefined, {
      path: ['ownerUrl'],
      message: 'It needs the url of the same database beside it',
    })
    .prefault({}),
  maxFileSize: byteSize()
    .prefault('2GiB')
    .describe('The most that a package may have, and all outputs of a build together. Default: 2GiB.'),
  audit: z
    .strictObject({
      key: text()
        .transform(createSecret)
        .optional()
        .describe(
          "The private key (ed25519, PEM) that signs the audit trail's heads; always a reference. Default: one in the data folder.",
        ),
      previousKey: text()
        .transform(createSecret)
        .optional()
        .describe('The key before a rotation, to vouch for the new one; always a reference. Default: none.'),
      every: duration().prefault('1m').describe('How often a head is signed when the trail has grown. Default: 1m.'),
    })
    .prefault({})
    .describe('How the audit trail is signed.'),
  sandbox: z
    .strictObject({
      readable: z
        .array(readablePath())
        .default([])
        .describe("Folders and files of this machine that repositories' code may read, beside the system's programs. Default: none."),
      network: z
        .enum(['full', 'outbound', 'none'])
        .default('outbound')
        .describe(
          'What builds and packagings reach. outbound: the internet, and not this machine, link-local and private networks. full: what pipit reaches. Default: outbound.',
        ),
      allow: z
        .array(allowedAddress())
        .default([])
        .describe('What `outbound` reaches too: IPv4 addresses, networks and names, each with a port or without. Default: none.'),
      limits: z
        .strictObject({
          memory: atLeast(16 * MIB)
            .prefault('2GiB')
            .describe('Memory of all processes together, folders of memory such as /tmp included. Default: 2GiB.'),
          tasks: z
            .int()
            .min(16, 'Fewer than 16 tasks build nothing')
            .max(4_194_304)
            .default(1024)
            .describe('Processes and threads. Default: 1024.'),
          cpu: z.number().min(0.05, 'At least 0.05 of a core').max(4096).default(2).describe('Cores, also a part of one. Default: 2.'),
          disk: atLeast(MIB).prefault('10GiB').describe('What the folders of the work may hold. Default: 10GiB.'),
          files: z
            .int()
            .min(1_000, 'Fewer than 1000 files build nothing')
            .default(1_000_000)
            .describe('Files and folders there. Default: 1000000.'),
          fileSize: atLeast(MIB).prefault('4GiB').describe('One file. Default: 4GiB.'),
        })
        .prefault({})
        .describe(
          "What each build, each command of a packaging, each install on a local host and each local service may use on pipit's machine.",
        ),
    })
    .prefault({})
    .describe("What repositories' code may see and use on pipit's machine."),
  trustRepositories: z.boolean().default(false).describe("Run repositories' code outside a sandbox on pipit's machine. Default: false."),
  plugins: z
    .record(
      name,
      z.strictObject({
        uses: text().describe('A package, a path that begins with "./", or a program: exec:./my-ci.'),
        with: z.record(z.string(), z.unknown()).optional().describe("The plugin's config."),
      }),
    )
    .default({})
    .describe('Configured plugins by instance name.'),
  pipelines: z
    .record(name, pipeline)
    .refine((pipelines) => Object.keys(pipelines).length > 0, 'At least one pipeline is needed')
    .describe('Pipelines by name.'),
});

export type CoreConfig = z.output<typeof coreConfigSchema>;
export type CorePipeline = CoreConfig['pipelines'][string];

/** The slots of a pipeline, each with the kind of its name. */
export const SLOT_KINDS = ['trigger', 'ci', 'packager', 'repository', 'discovery', 'advertiser', 'deployer', 'transport'] as const;
export type SlotKind = (typeof SLOT_KINDS)[number] | 'notifier';
/** Those that every pipeline has in the end, written or by default. */
export const NEEDED_SLOTS = SLOT_KINDS.filter((kind) => kind !== 'transport') as readonly NeededSlot[]; // what the filter leaves
export type NeededSlot = Exclude<SlotKind, 'transport' | 'notifier'>;
