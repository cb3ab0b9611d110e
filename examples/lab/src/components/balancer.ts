import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LabHost } from '../host.js';

/** A server behind the balancer. */
export interface BalancedServer {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly ring: 'canary' | 'production';
}

export interface BalancerOptions {
  /** A lab host with the layer `balancer`. */
  readonly host: LabHost;
  readonly servers: readonly BalancedServer[];
  /** A request that has this header, with any value, goes to the canaries. Default `X-Canary`. */
  readonly canaryHeader?: string;
  /** What each server is asked to see whether it is up. Default `/`. */
  readonly healthPath?: string;
}

export interface Balancer {
  /** `http://address`: port 80. */
  readonly url: string;
  /** Path, on the host, of HAProxy's runtime socket: `socat` with it drains and restores servers. */
  readonly socket: string;
  /** Puts these servers behind it instead, without dropping a connection. */
  readonly setServers: (servers: readonly BalancedServer[]) => Promise<void>;
  /** One of HAProxy's runtime commands, such as `show stat` or `set server all/web-1 state drain`. */
  readonly command: (line: string) => Promise<string>;
}

const SOCKET = '/run/haproxy/admin.sock';

/** HAProxy's configuration: the canary header chooses the canaries, all else goes to the least busy server of both rings. */
export const haproxyConfig = (servers: readonly BalancedServer[], canaryHeader: string, healthPath: string): string => {
  const backend = (name: string, members: readonly BalancedServer[]) => [
    `backend ${name}`,
    '  balance leastconn',
    `  option httpchk GET ${healthPath}`,
    '  http-check expect status 200-399',
    ...members.map((server) => `  server ${server.name} ${server.address}:${server.port} check inter 1s fall 2 rise 1`),
    '',
  ];
  return [
    'global',
    '  maxconn 2000',
    `  stats socket ${SOCKET} mode 660 level admin expose-fd listeners`,
    '',
    'defaults',
    '  mode http',
    '  timeout connect 2s',
    '  timeout client 30s',
    '  timeout server 30s',
    // A server that is just going down: the next one answers.
    '  option redispatch',
    '  retries 2',
    '',
    'frontend app',
    '  bind :80',
    `  use_backend canary if { req.hdr(${canaryHeader}) -m found }`,
    '  default_backend all',
    '',
    ...backend('all', servers),
    ...backend(
      'canary',
      servers.filter(({ ring }) => ring === 'canary'),
    ),
  ].join('\n');
};

/**
 * Starts HAProxy on a lab host in front of an app.
 * @throws Error when HAProxy does not take the configuration; what ran before runs on.
 */
export const startBalancer = async (options: BalancerOptions): Promise<Balancer> => {
  const { host, canaryHeader = 'X-Canary', healthPath = '/' } = options;
  const must = async (argv: readonly string[], input?: string): Promise<string> => {
    const { exitCode, stdout, stderr } = await host.exec(argv, { ...(input !== undefined && { input }) });
    if (exitCode !== 0) throw new Error(`${argv.join(' ')} on ${host.name} ended with ${exitCode}: ${stderr || stdout}`);
    return stdout;
  };
  const setServers = async (servers: readonly BalancedServer[]): Promise<void> => {
    await must(['tee', '/etc/haproxy/next.cfg'], haproxyConfig(servers, canaryHeader, healthPath));
    await must(['haproxy', '-c', '-q', '-f', '/etc/haproxy/next.cfg']);
    await must(['mv', '/etc/haproxy/next.cfg', '/etc/haproxy/haproxy.cfg']);
    await must(['systemctl', 'reload-or-restart', 'haproxy']);
  };
  await writeFile(join(host.rootFolder, 'etc/tmpfiles.d/haproxy-lab.conf'), 'd /run/haproxy 0755 root root -\n');
  await must(['mkdir', '-p', '/run/haproxy']);
  await setServers(options.servers);
  await must(['systemctl', 'enable', '--quiet', 'haproxy']);
  return {
    url: `http://${host.address}`,
    socket: SOCKET,
    setServers,
    command: (line) => must(['socat', '-', `UNIX-CONNECT:${SOCKET}`], `${line}\n`),
  };
};
