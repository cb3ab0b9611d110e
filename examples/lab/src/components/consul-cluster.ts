import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConsulAgent, type ConsulOptions, launchConsul } from './consul.js';
import { findFreePorts } from './free-ports.js';

const POLL_MS = 50;
const LEADER_DEADLINE_MS = 60_000;

/** Three servers by default; `folder` gets a folder for each. */
export interface ConsulClusterOptions extends Omit<ConsulOptions, 'address' | 'ports' | 'bootstrapExpect' | 'join' | 'server'> {
  /** One server for each. Default 127.0.0.11 to 127.0.0.13. */
  readonly addresses?: readonly string[];
}

/** Consul servers that share one state. */
export interface ConsulCluster {
  readonly servers: readonly ConsulAgent[];
  readonly managementToken: string;
  /** The server that leads now; waits for one to be chosen. */
  readonly leader: (deadlineMs?: number) => Promise<ConsulAgent>;
  /** Stops all. */
  readonly stop: () => Promise<void>;
}

/** What a running server says its leader is (`address:port` of its RPC), or empty. */
const leaderOf = async (server: ConsulAgent): Promise<string> => {
  try {
    const answer = await server.request('GET', '/v1/status/leader');
    return answer.ok ? String(await answer.json()) : '';
  } catch {
    return '';
  }
};

/**
 * Starts a cluster of Consul servers and waits until all of them know the leader.
 * @throws Error when no leader is chosen in time; nothing is left running then.
 */
export const startConsulCluster = async (options: ConsulClusterOptions): Promise<ConsulCluster> => {
  const addresses = options.addresses ?? ['127.0.0.11', '127.0.0.12', '127.0.0.13'];
  const managementToken = options.managementToken ?? randomUUID();
  const places = await Promise.all(
    addresses.map(async (address) => {
      const [serfLan = 0] = await findFreePorts(address, 1);
      return { address, serfLan };
    }),
  );
  const servers: ConsulAgent[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  const leader = async (deadlineMs = LEADER_DEADLINE_MS): Promise<ConsulAgent> => {
    const endsAt = performance.now() + deadlineMs;
    for (;;) {
      for (const server of servers) {
        if (server.pid() === undefined) continue;
        const rpc = await leaderOf(server);
        const found = servers.find(({ address, ports }) => `${address}:${ports.server}` === rpc);
        // A follower names the dead leader for a moment after its death.
        if (found?.pid() !== undefined && (await leaderOf(found)) === rpc) return found;
      }
      options.signal?.throwIfAborted();
      if (performance.now() > endsAt) throw new Error(`The Consul cluster has no leader after ${deadlineMs} ms`);
      await sleep(POLL_MS);
    }
  };
  try {
    for (const { address, serfLan } of places)
      servers.push(
        await launchConsul({
          ...options,
          folder: join(options.folder, address),
          address,
          ports: { serfLan },
          managementToken,
          bootstrapExpect: places.length,
          join: places.map((place) => `${place.address}:${place.serfLan}`),
        }),
      );
    await Promise.all(servers.map((server) => server.waitForLeader()));
    return { servers, managementToken: options.acl ? managementToken : '', leader, stop };
  } catch (error) {
    await stop();
    throw error;
  }
};
