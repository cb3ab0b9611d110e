import { existsSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

/** What confined code reaches: see the config's `sandbox.network`. */
export type SandboxNetworkMode = 'full' | 'outbound' | 'none';

export interface SandboxNetwork {
  readonly mode: SandboxNetworkMode;
  /** What `outbound` reaches although it is private or this machine's own. */
  readonly allow: readonly AllowedAddress[];
}

export interface AllowedAddress {
  /** An IPv4 address, a network such as 10.1.0.0/16, or a name. */
  readonly host: string;
  /** Default: every port. */
  readonly port?: number;
}

export const DEFAULT_SANDBOX_NETWORK: SandboxNetwork = { mode: 'outbound', allow: [] };

/** The namespace's own addresses: a range that is used nowhere, so that it hides nothing that `allow` may name. Source: RFC 5737. */
export const SANDBOX_NETWORK = '192.0.2.0/24';

/** Where slirp4netns passes questions on to this machine's resolver, whatever address that has: the third of its network. */
export const RESOLVER_ADDRESS = '192.0.2.3';

/** This machine's own, private, link-local and special networks. Source: RFC 6890, and RFC 6598 for carriers' own. */
export const BLOCKED_NETWORKS = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  SANDBOX_NETWORK,
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/4',
  '240.0.0.0/4',
] as const;

/** This machine's own addresses now, private or not. The sandbox has no IPv6. */
const ownAddresses = (): readonly string[] =>
  Object.values(networkInterfaces()).flatMap((addresses = []) =>
    addresses.flatMap(({ family, address }) => (family === 'IPv4' ? [address] : [])),
  );

/** The machine's search list and options, and the sandbox's own resolver. */
export const resolverFile = (): string => {
  const machines = existsSync('/etc/resolv.conf') ? readFileSync('/etc/resolv.conf', 'utf8').split('\n') : [];
  return [`nameserver ${RESOLVER_ADDRESS}`, ...machines.filter((line) => /^\s*(?:search|domain|options)\s/.test(line))].join('\n');
};

/** What the work's script takes for {@link SandboxNetworkMode} `outbound`. */
export const outboundArguments = (allow: readonly AllowedAddress[]): readonly string[] => [
  'network=outbound',
  `blocked=${ownAddresses().join('\n')}`,
  `allow=${allow.map(({ host, port }) => (port === undefined ? host : `${host} ${port}`)).join('\n')}`,
  `userns=${process.getuid?.() === 0 ? '' : '--user --map-root-user'}`,
  `resolver=${resolverFile()}`,
];
