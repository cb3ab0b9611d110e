import { createHash } from 'node:crypto';
import { type Call, type Cursor, type Discovery, type Host, type HostQuery, ringTag } from '@pipit/core';
import type { ConsulConfig, DiscoveryOptions } from './config.js';
import type { ConsulClient } from './consul-client.js';
import { nothingVisible } from './consul-failure.js';
import { holdUntilChanged, type Looked } from './hold-until-changed.js';
import { mapHealthEntries } from './map-health-entries.js';

export interface ConsulDiscoveryOptions {
  readonly client: ConsulClient;
  readonly config: Pick<ConsulConfig, 'datacenters' | 'address'>;
}

type Target = HostQuery<DiscoveryOptions>['target'];
type Found = { readonly hosts: readonly Host[]; readonly cursor: Cursor };

const questionOf = (target: Target, { service }: DiscoveryOptions, datacenter: string | undefined) => {
  const [name, tag] = 'service' in target ? [target.service, undefined] : [service ?? target.app, ringTag(target)];
  return {
    path: `/v1/health/service/${encodeURIComponent(name)}`,
    query: { ...(tag === undefined ? {} : { tag }), consistent: '' },
    datacenter,
  };
};

const isEmpty = (answer: unknown): boolean => typeof answer === 'object' && answer !== null && Object.keys(answer).length === 0;

/**
 * Throws where the token sees no nodes or no services: every Consul has at least one server and the service `consul`, so an empty
 * registry is one that the token may not see.
 *
 * @throws PluginError `CONSUL_NOTHING_VISIBLE` (stop)
 */
export const expectVisible = async (client: ConsulClient, datacenter: string | undefined, signal: AbortSignal): Promise<void> => {
  for (const what of ['nodes', 'services'] as const) {
    const answer = await client.ask({ path: `/v1/catalog/${what}`, query: { consistent: '' }, datacenter, signal });
    if (isEmpty(answer.json())) throw nothingVisible(what);
  }
};

/** Hosts are the nodes whose instance of the service bears the ring's tag, in one data centre or several. */
export const createConsulDiscovery = ({ client, config }: ConsulDiscoveryOptions): Discovery<DiscoveryOptions> => {
  const look = async (target: Target, options: DiscoveryOptions, call: Call): Promise<Looked<Found>> => {
    const datacenters = config.datacenters ?? [undefined];
    const parts = await Promise.all(
      datacenters.map(async (datacenter, position) => {
        const question = questionOf(target, options, datacenter);
        const answer = await client.ask({ ...question, signal: call.signal });
        if (answer.isFiltered) throw nothingVisible('services and nodes of the answer');
        const hosts = mapHealthEntries(answer.json(), {
          address: config.address,
          ...(position === 0 ? {} : { idSuffix: `.${datacenter}` }),
        });
        if (hosts.length === 0) await expectVisible(client, datacenter, call.signal);
        return { hosts, watched: { question, index: answer.index } };
      }),
    );
    const hosts = parts.flatMap((part) => part.hosts);
    const cursor = createHash('sha256').update(JSON.stringify(hosts)).digest('hex');
    return { answer: { hosts, cursor }, watched: parts.map(({ watched }) => watched) };
  };
  return {
    findHosts: ({ target, after, options }, call) => holdUntilChanged({ client, look: () => look(target, options, call), after, call }),
  };
};
