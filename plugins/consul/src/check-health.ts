import { type Call, type HealthFinding, isPluginError, PluginError } from '@pipit/core';
import type { ConsulConfig } from './config.js';
import { keyPath } from './consul-advertiser.js';
import type { ConsulClient } from './consul-client.js';
import { expectVisible } from './consul-discovery.js';

export interface CheckHealthOptions {
  readonly client: ConsulClient;
  readonly config: Pick<ConsulConfig, 'datacenters' | 'prefix' | 'token' | 'url'>;
}

type Look = () => Promise<Omit<HealthFinding, 'name'>>;

/** A key that nobody writes: a check-and-set of an index that no new key can have asks for the right and changes nothing. */
const PROBE_KEY = 'pipit-doctor-probe';
const IMPOSSIBLE_INDEX = '1';

const findingOf = async (name: string, look: Look): Promise<HealthFinding> => {
  try {
    return { name, ...(await look()) };
  } catch (thrown) {
    if (!isPluginError(thrown)) throw thrown;
    return { name, ok: false, detail: thrown.message, ...(thrown.hint === undefined ? {} : { hint: thrown.hint }) };
  }
};

/** What `pipit doctor` shows: the agent, its leader, the token's rights, and that nobody else may advertise. */
export const checkConsulHealth = async ({ client, config }: CheckHealthOptions, { signal }: Call): Promise<readonly HealthFinding[]> => {
  const datacenters = config.datacenters ?? [undefined];
  const [home] = datacenters;
  const suffix = (datacenter: string | undefined): string => (datacenter === undefined ? '' : ` in ${datacenter}`);

  const leader =
    (datacenter: string | undefined): Look =>
    async () => {
      const said = (await client.ask({ path: '/v1/status/leader', datacenter, signal })).json();
      return typeof said === 'string' && said !== ''
        ? { ok: true, detail: `${said}, asked through ${config.url}` }
        : { ok: false, detail: `${config.url} knows no leader`, hint: 'Look at the servers: consul operator raft list-peers' };
    };

  const services =
    (datacenter: string | undefined): Look =>
    async () => {
      await expectVisible(client, datacenter, signal);
      return { ok: true, detail: 'services and nodes can be read' };
    };

  const probe = (anonymous: boolean) =>
    client.ask({
      method: 'PUT',
      path: keyPath(`${config.prefix}/${PROBE_KEY}`),
      query: { cas: IMPOSSIBLE_INDEX },
      datacenter: home,
      body: '',
      anonymous,
      signal,
    });

  const prefix: Look = async () => {
    await client.ask({ path: keyPath(`${config.prefix}/${PROBE_KEY}`), query: { consistent: '' }, datacenter: home, signal });
    await probe(false);
    return { ok: true, detail: `${config.prefix}/ can be read and written` };
  };

  const anonymousWrite: Look = async () => {
    try {
      await probe(true);
    } catch (thrown) {
      if (isPluginError(thrown) && thrown.code === 'CONSUL_ACCESS_REFUSED') return { ok: true, detail: 'refused, as it should be' };
      throw thrown;
    }
    throw new PluginError({
      code: 'CONSUL_WRITE_OPEN',
      message: `Anybody who reaches ${config.url} can write ${config.prefix}/ without a token, and so choose what hosts install`,
      hint: 'Enable ACLs with default_policy = "deny", and give neither the anonymous token nor the agent’s default token the right to write keys.',
      recovery: 'stop',
    });
  };

  return Promise.all([
    ...datacenters.map((datacenter) => findingOf(`leader${suffix(datacenter)}`, leader(datacenter))),
    ...datacenters.map((datacenter) => findingOf(`services${suffix(datacenter)}`, services(datacenter))),
    findingOf(`key prefix${suffix(home)}`, prefix),
    findingOf(`anonymous write${suffix(home)}`, anonymousWrite),
  ]);
};
