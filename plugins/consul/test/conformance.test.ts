/** That both kinds keep the published promises, on a real agent with ACLs on and the policies of the README. */
import { testAdvertiser, testDiscovery, testPlugin } from '@pipit/plugin-testing';
import { type ConsulAgent, startConsul } from 'pipit-lab';
import { afterAll, beforeAll } from 'vitest';
import type { DiscoveryOptions } from '../src/config.js';
import { plugin } from '../src/index.js';
import {
  advertisementOf,
  createToken,
  type NoOptions,
  openPlugin,
  readmePolicies,
  register,
  ringOf,
  SLOW_MS,
  temporaryFolder,
} from './consul-world.js';

let agent: ConsulAgent;
let server: string;
let reader: string;

beforeAll(async () => {
  agent = await startConsul({ folder: await temporaryFolder('file'), acl: true });
  const rules = await readmePolicies();
  server = await createToken(agent, rules.server);
  reader = await createToken(agent, rules.reader);
}, SLOW_MS);
afterAll(() => agent?.stop());

const pem = (label: string) => `-----BEGIN ${label}-----\nAAAA\n-----END ${label}-----\n`;
const tls = { ca: pem('CERTIFICATE'), cert: pem('CERTIFICATE'), key: pem('PRIVATE KEY'), serverName: 'server.dc1.consul' };

testPlugin('plugin-consul', {
  plugin,
  goodConfig: { url: 'https://consul.example.org', token: 'the token', datacenters: ['dc1', 'dc2'], prefix: 'ops/pipit', tls },
  badConfigs: {
    'another protocol': { url: 'ftp://consul.example.org' },
    'an empty token': { token: '' },
    'an unknown key': { tokens: 'x' },
    'a prefix with a slash at its end': { prefix: 'pipit/' },
    'a prefix that leads upwards': { prefix: '../pipit' },
    'no data centre': { datacenters: [] },
    'a data centre twice': { datacenters: ['dc1', 'dc1'] },
    'certificates and no https': { url: 'http://127.0.0.1:8500', tls },
    'a certificate without a key': { url: 'https://consul.example.org', tls: { cert: tls.cert } },
    'a path in place of a certificate': { url: 'https://consul.example.org', tls: { ca: '/etc/consul/ca.pem' } },
  },
  secrets: ['the token', tls.key],
});

let worlds = 0;
/** A name of its own for each world: they share the agent. */
const nextApp = (): string => {
  worlds += 1;
  return `web${worlds}`;
};

testDiscovery<DiscoveryOptions>('plugin-consul', {
  open: async () => {
    const app = nextApp();
    const tag = `${app}::app_canary`;
    await register(agent, { node: `${app}-a`, service: app, tags: [tag, 'other'], nodeMeta: { architecture: 'amd64' } });
    await register(agent, {
      node: `${app}-b`,
      service: app,
      tags: [tag],
      checks: [{ name: 'web answers', status: 'critical', output: 'connection refused' }],
    });
    await register(agent, { node: `${app}-c`, service: app, tags: [`${app}::app`] });
    return {
      reopen: async () => openPlugin({ url: agent.url, token: server }).discovery,
      options: {},
      ring: ringOf(app),
      availableIds: [`${app}-a`],
      unavailableIds: [`${app}-b`],
      empty: ringOf(`${app}-none`),
      addHost: async () => {
        await register(agent, { node: `${app}-d`, service: app, tags: [tag] });
        return `${app}-d`;
      },
      close: async () => {},
    };
  },
});

testAdvertiser<NoOptions>('plugin-consul', {
  open: async () => {
    const app = nextApp();
    return {
      reopen: async () => openPlugin({ url: agent.url, token: server }).advertiser,
      options: {},
      ring: ringOf(app),
      otherRing: ringOf(app, 'production'),
      first: advertisementOf(1),
      second: advertisementOf(2),
      readPlainVersion: async ({ role, ring }) => {
        const answer = await fetch(`${agent.url}/v1/kv/pipit/${app}/${role}/${ring}/version?raw`, {
          headers: { 'x-consul-token': reader },
        });
        return answer.status === 404 ? undefined : answer.text();
      },
      close: async () => {},
    };
  },
});
