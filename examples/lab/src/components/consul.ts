import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { consulProgram } from './consul-program.js';
import { findFreePorts } from './free-ports.js';

const POLL_MS = 50;
const START_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 15_000;

/** The ports of one agent. Those left out are free ones that are found. */
export interface ConsulPorts {
  readonly http: number;
  readonly server: number;
  readonly serfLan: number;
  readonly serfWan: number;
  /** Only with `tls`. */
  readonly https: number;
}

/** How a Consul agent of the lab is set up. */
export interface ConsulOptions {
  /** Folder for its configuration, data and log; made if missing. What is in it is kept: start again on the same folder to go on. */
  readonly folder: string;
  /** Address it binds and answers on. Default `127.0.0.1`. */
  readonly address?: string;
  readonly ports?: Partial<ConsulPorts>;
  /** ACLs on, with everything denied to those without a token. Default false. */
  readonly acl?: boolean;
  /** The token with all rights, when `acl`. Default: a new one. */
  readonly managementToken?: string;
  readonly nodeName?: string;
  readonly nodeMeta?: Readonly<Record<string, string>>;
  /** Default `dc1`. */
  readonly datacenter?: string;
  /** A server (the default), or a client agent, which needs `join`. */
  readonly server?: boolean;
  /** How many servers choose the first leader. Default 1. */
  readonly bootstrapExpect?: number;
  /** `address:port` (serf LAN) of agents to join. */
  readonly join?: readonly string[];
  /** `address:port` (serf WAN) of servers of other data centres to join. */
  readonly joinWan?: readonly string[];
  /** Certificate files for HTTPS; the HTTP port then stays open for the lab itself. */
  readonly tls?: {
    readonly ca: string;
    readonly cert: string;
    readonly key: string;
    /** Refuse clients without a certificate of `ca`. */
    readonly verifyIncoming?: boolean;
  };
  /** More of Consul's own configuration, laid over what the lab writes. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Path of Consul. Default: {@link consulProgram}. */
  readonly program?: string;
  readonly signal?: AbortSignal;
}

/** A running Consul agent. */
export interface ConsulAgent {
  /** `http://address:port`. */
  readonly url: string;
  /** `https://address:port`, with `tls`. */
  readonly httpsUrl?: string;
  readonly address: string;
  readonly ports: ConsulPorts;
  readonly nodeName: string;
  readonly folder: string;
  /** The token with all rights; empty without `acl`. */
  readonly managementToken: string;
  /** Process id of the running agent. */
  readonly pid: () => number | undefined;
  /** What it has logged. */
  readonly log: () => Promise<string>;
  /** Asks it to end (SIGTERM) and waits; killed when it does not. Harmless when it has ended. */
  readonly stop: () => Promise<void>;
  /** `kill -9`, and waits. */
  readonly kill: () => Promise<void>;
  /** Starts it again with the same ports and data, after `stop` or `kill`. Does not wait for a leader. */
  readonly start: () => Promise<void>;
  /** Waits until a leader is known and, with `acl`, the management token is. */
  readonly waitForLeader: (deadlineMs?: number) => Promise<void>;
  /** Calls its HTTP API with the management token. A body is sent as JSON, a string as it is. */
  readonly request: (method: string, path: string, body?: unknown) => Promise<Response>;
}

const agentConfig = (
  options: ConsulOptions,
  agent: { address: string; ports: ConsulPorts; nodeName: string; managementToken: string },
): Record<string, unknown> => {
  const { address, ports, nodeName, managementToken } = agent;
  const isServer = options.server ?? true;
  return {
    data_dir: join(options.folder, 'data'),
    bind_addr: address,
    client_addr: address,
    node_name: nodeName,
    datacenter: options.datacenter ?? 'dc1',
    server: isServer,
    ...(isServer && { bootstrap_expect: options.bootstrapExpect ?? 1 }),
    ...(options.nodeMeta && { node_meta: options.nodeMeta }),
    ...(options.join && { retry_join: options.join, retry_interval: '1s' }),
    ...(options.joinWan && { retry_join_wan: options.joinWan, retry_interval_wan: '1s' }),
    ports: {
      http: ports.http,
      https: options.tls ? ports.https : -1,
      dns: -1,
      grpc: -1,
      server: ports.server,
      serf_lan: ports.serfLan,
      serf_wan: ports.serfWan,
    },
    // Elections within a second or two: the slower default is for small machines in bad networks.
    performance: { raft_multiplier: 1 },
    disable_update_check: true,
    ...(options.acl && {
      primary_datacenter: options.datacenter ?? 'dc1',
      acl: {
        enabled: true,
        default_policy: 'deny',
        enable_token_persistence: true,
        tokens: { ...(isServer && { master: managementToken }), agent: managementToken },
      },
    }),
    ...(options.tls && {
      ca_file: options.tls.ca,
      cert_file: options.tls.cert,
      key_file: options.tls.key,
      verify_incoming_https: options.tls.verifyIncoming ?? false,
    }),
    ...options.config,
  };
};

const chooseConsulPorts = async (address: string, given: Partial<ConsulPorts> = {}): Promise<ConsulPorts> => {
  const [http = 0, server = 0, serfLan = 0, serfWan = 0, https = 0] = await findFreePorts(address, 5);
  return { http, server, serfLan, serfWan, https, ...given };
};

/** Makes an agent's folder and configuration and starts it, without waiting for a leader. */
export const launchConsul = async (options: ConsulOptions): Promise<ConsulAgent> => {
  const address = options.address ?? '127.0.0.1';
  const program = options.program ?? (await consulProgram(options));
  const ports = await chooseConsulPorts(address, options.ports);
  const managementToken = options.acl ? (options.managementToken ?? randomUUID()) : '';
  const nodeName = options.nodeName ?? `consul-${address.replaceAll('.', '-')}`;
  const url = `http://${address}:${ports.http}`;
  const logPath = join(options.folder, 'consul.log');
  const configPath = join(options.folder, 'consul.json');
  await mkdir(options.folder, { recursive: true });
  await writeFile(configPath, JSON.stringify(agentConfig(options, { address, ports, nodeName, managementToken }), undefined, 2), {
    mode: 0o600,
  });
  let child: ChildProcess | undefined;
  const isRunning = (running = child): running is ChildProcess =>
    running !== undefined && running.exitCode === null && running.signalCode === null;
  const start = async (): Promise<void> => {
    if (isRunning()) return;
    const log = await open(logPath, 'a');
    try {
      // It ends with this process, however that ends.
      child = spawn('setpriv', ['--pdeathsig', 'TERM', program, 'agent', `-config-file=${configPath}`], {
        stdio: ['ignore', log.fd, log.fd],
      });
      await once(child, 'spawn');
    } finally {
      await log.close();
    }
  };
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    if (!isRunning(child)) return;
    const running = child;
    const ended = once(running, 'exit');
    running.kill(signal);
    const timer = setTimeout(() => running.kill('SIGKILL'), STOP_DEADLINE_MS);
    await ended;
    clearTimeout(timer);
  };
  const log = async (): Promise<string> => readFile(logPath, 'utf8');
  const request = async (method: string, path: string, body?: unknown): Promise<Response> =>
    fetch(`${url}${path}`, {
      method,
      headers: managementToken ? { 'X-Consul-Token': managementToken } : {},
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
  const isLed = async (): Promise<boolean> => {
    try {
      const leader = await request('GET', '/v1/status/leader');
      if (!leader.ok || (await leader.json()) === '') return false;
      // Consistent: only a leader that has taken office answers it.
      return (await request('GET', '/v1/catalog/nodes?consistent')).ok
        ? !options.acl || (await request('GET', '/v1/acl/token/self')).ok
        : false;
    } catch {
      return false;
    }
  };
  const waitForLeader = async (deadlineMs = START_DEADLINE_MS): Promise<void> => {
    const endsAt = performance.now() + deadlineMs;
    while (!(await isLed())) {
      options.signal?.throwIfAborted();
      if (!isRunning() || performance.now() > endsAt) {
        const state = isRunning() ? `has no leader after ${deadlineMs} ms` : 'ended';
        throw new Error(`Consul at ${url} ${state}. Its log ends:\n${(await log()).slice(-3000)}`);
      }
      await sleep(POLL_MS);
    }
  };
  await start();
  return {
    url,
    ...(options.tls && { httpsUrl: `https://${address}:${ports.https}` }),
    address,
    ports,
    nodeName,
    folder: options.folder,
    managementToken,
    pid: () => (isRunning(child) ? child.pid : undefined),
    log,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    start,
    waitForLeader,
    request,
  };
};

/**
 * Starts a Consul agent and waits until it has a leader.
 * @throws Error with the end of its log when it does not come up; nothing is left running then.
 */
export const startConsul = async (options: ConsulOptions): Promise<ConsulAgent> => {
  const agent = await launchConsul(options);
  try {
    await agent.waitForLeader();
    return agent;
  } catch (error) {
    await agent.kill();
    throw error;
  }
};
