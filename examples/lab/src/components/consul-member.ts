import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LabHost } from '../host.js';
import type { ConsulAgent } from './consul.js';

/** A service of a host, as its agent announces it. */
export interface MemberService {
  readonly name: string;
  readonly tags?: readonly string[];
  readonly port?: number;
  /** Checks that the host's own agent runs, in Consul's own form: `{ http: 'http://localhost:8080/', interval: '1s' }`. */
  readonly checks?: readonly Readonly<Record<string, unknown>>[];
}

export interface ConsulMemberOptions {
  /** A lab host with the layer `consul`. */
  readonly host: LabHost;
  /** A server that listens on the lab's network (`startConsul({ address: lab.bridgeAddress })`). */
  readonly server: ConsulAgent;
  /** Announced by this host. Default: none. */
  readonly services?: readonly MemberService[];
  /** Default `dc1`. */
  readonly datacenter?: string;
}

const POLL_SECONDS = '0.1';

/**
 * Runs a Consul agent on a lab host as a systemd service, joined to a server, and waits until the server knows the node. From then on Consul itself
 * sees a host that is down (its node's check), and the host's own agent runs the checks of its services. The host's agent has the server's
 * management token: this is a lab.
 */
export const joinConsul = async ({ host, server, services = [], datacenter = 'dc1' }: ConsulMemberOptions): Promise<void> => {
  const token = server.managementToken;
  const config = {
    node_name: host.name,
    datacenter,
    data_dir: '/var/lib/consul',
    bind_addr: host.address,
    client_addr: '127.0.0.1',
    retry_join: [`${server.address}:${server.ports.serfLan}`],
    retry_interval: '1s',
    enable_script_checks: true,
    disable_update_check: true,
    leave_on_terminate: false,
    ports: { dns: -1, grpc: -1 },
    services: services.map((service) => ({ ...service, address: host.address, ...(token !== '' && { token }) })),
    ...(token !== '' && {
      acl: { enabled: true, default_policy: 'deny', tokens: { agent: token, default: token } },
      primary_datacenter: datacenter,
    }),
  };
  await writeFile(join(host.rootFolder, 'etc/consul.json'), JSON.stringify(config, undefined, 2), { mode: 0o600 });
  const must = async (argv: readonly string[]) => {
    const { exitCode, stderr } = await host.exec(argv);
    if (exitCode !== 0) throw new Error(`${argv.join(' ')} on ${host.name} ended with ${exitCode}: ${stderr}`);
  };
  await must(['systemctl', 'enable', '--quiet', 'consul']);
  await must(['systemctl', 'restart', 'consul']);
  const deadline = AbortSignal.timeout(60_000);
  for (;;) {
    const answer = await server.request('GET', `/v1/catalog/node/${encodeURIComponent(host.name)}`);
    const known = answer.ok ? ((await answer.json()) as { readonly Services?: Record<string, unknown> } | null) : null;
    if (known !== null && Object.keys(known.Services ?? {}).length >= services.length) return;
    if (deadline.aborted) {
      const { stdout } = await host.exec(['journalctl', '--unit', 'consul', '--no-pager', '--lines', '20']);
      throw new Error(`Consul does not know ${host.name} after a minute. Its agent says:\n${stdout}`);
    }
    await host.exec(['sleep', POLL_SECONDS]);
  }
};
