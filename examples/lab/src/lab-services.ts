import { join } from 'node:path';
import { type BalancedServer, type Balancer, startBalancer } from './components/balancer.js';
import { type ConsulAgent, startConsul } from './components/consul.js';
import { joinConsul, type MemberService } from './components/consul-member.js';
import { type GitServer, startGitServer } from './components/git-server.js';
import { type Jenkins, startJenkins } from './components/jenkins.js';
import { type RepositoryHost, startRepositoryHost } from './components/repository-host.js';
import type { HostSpec } from './host-spec.js';
import type { Lab, LabHost } from './lab.js';
import type { LayerName } from './layers.js';

/** Where the lab's app answers on its hosts. */
export const APP_PORT = 8080;

export interface FleetOptions {
  /** Default 2. */
  readonly canaries?: number;
  /** Default 4. */
  readonly production?: number;
  /** What single hosts have beyond that, by their names. */
  readonly moreLayers?: Readonly<Record<string, LayerName>>;
}

/** The hosts of the usual lab: canaries, production, one that builds, one that serves packages, one that balances; all with a Consul agent. */
export const fleetHosts = ({ canaries = 2, production = 4, moreLayers = {} }: FleetOptions = {}): HostSpec[] => {
  const hosts: readonly (readonly [name: string, ...layers: LayerName[]])[] = [
    ...Array.from({ length: canaries }, (_, index) => [`canary-${index + 1}`] as const),
    ...Array.from({ length: production }, (_, index) => [`production-${index + 1}`] as const),
    ['build-1', 'build'],
    ['repository-1', 'repository'],
    ['balancer-1', 'balancer'],
  ];
  return hosts.map(([name, ...layers]) => {
    const more = moreLayers[name];
    return { name, layer: [...layers, 'consul', ...(more === undefined ? [] : [more])] };
  });
};

export interface LabServicesOptions {
  /** Made of {@link fleetHosts}. */
  readonly lab: Lab;
  /** App and role in the hosts' tags: `app::role` and `app::role_canary`. Default `shop` and `app`. */
  readonly app?: string;
  readonly role?: string;
  /** Whether a Jenkins is started. Default true. */
  readonly jenkins?: boolean;
  /** The repository of the app, and who is told of pushes to it. Default: `acme/<app>`, nobody. */
  readonly hooks?: readonly { readonly url: string; readonly secret: string }[];
}

/** All that runs beside the hosts. */
export interface LabServices {
  readonly consul: ConsulAgent;
  readonly jenkins?: Jenkins;
  readonly git: GitServer;
  readonly cloneUrl: string;
  /** The app's bare repository on this machine. */
  readonly gitFolder: string;
  readonly repository: RepositoryHost;
  readonly balancer: Balancer;
  readonly stop: () => Promise<void>;
}

const ringOf = (host: LabHost): 'canary' | 'production' | undefined =>
  host.name.startsWith('canary-') ? 'canary' : host.name.startsWith('production-') ? 'production' : undefined;

const servicesOf = (host: LabHost, app: string, role: string): MemberService[] => {
  const ring = ringOf(host);
  if (ring !== undefined) {
    const check = { name: `${app} answers`, http: `http://${host.address}:${APP_PORT}/`, interval: '1s', timeout: '1s' };
    return [{ name: app, tags: [ring === 'canary' ? `${app}::${role}_canary` : `${app}::${role}`], port: APP_PORT, checks: [check] }];
  }
  const ssh = { name: 'ssh', tcp: `${host.address}:22`, interval: '2s', timeout: '1s' };
  if (host.name.startsWith('build-')) return [{ name: 'build', port: 22, checks: [ssh] }];
  return [];
};

/**
 * Starts what pipit works with beside the hosts: Consul on the lab's network with an agent on every host, Jenkins, a git server, the repository host
 * and the balancer. All of it belongs to this process, and to the lab: `lab.down()` ends it too.
 * @throws Error when one of them does not come up; none is left running then.
 */
export const startLabServices = async (options: LabServicesOptions): Promise<LabServices> => {
  const { lab, app = 'shop', role = 'app' } = options;
  const folder = (name: string) => join(lab.folder, 'services', name);
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(stops.splice(0).map((end) => end()));
  };
  const keepUntilStop = <T extends { readonly stop: () => Promise<void> }>(service: T): T => {
    stops.push(service.stop);
    return service;
  };
  const startConsulEverywhere = async () => {
    const consul = keepUntilStop(
      await startConsul({ folder: folder('consul'), address: lab.bridgeAddress, nodeName: 'consul', acl: true }),
    );
    await Promise.all(lab.hosts.map((host) => joinConsul({ host, server: consul, services: servicesOf(host, app, role) })));
    return consul;
  };
  const startGit = async () => {
    const git = keepUntilStop(await startGitServer({ folder: folder('git'), address: lab.bridgeAddress }));
    const { cloneUrl, folder: gitFolder } = await git.addRepository({ fullName: `acme/${app}`, hooks: options.hooks ?? [] });
    return { git, cloneUrl, gitFolder };
  };
  const servers = lab.hosts.flatMap((host): BalancedServer[] => {
    const ring = ringOf(host);
    return ring === undefined ? [] : [{ name: host.name, address: host.address, port: APP_PORT, ring }];
  });
  const startAll = [
    startConsulEverywhere(),
    startGit(),
    startRepositoryHost(lab.host('repository-1')),
    startBalancer({ host: lab.host('balancer-1'), servers }),
    options.jenkins === false
      ? undefined
      : startJenkins({ folder: folder('jenkins'), address: lab.bridgeAddress }).then((jenkins) => keepUntilStop(jenkins)),
  ] as const;
  try {
    const [consul, { git, cloneUrl, gitFolder }, repository, balancer, jenkins] = await Promise.all(startAll);
    return { consul, git, cloneUrl, gitFolder, repository, balancer, ...(jenkins && { jenkins }), stop };
  } catch (error) {
    await Promise.allSettled(startAll);
    await stop();
    throw error;
  }
};
