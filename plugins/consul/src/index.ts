import { definePlugin } from '@pipit/core';
import { checkConsulHealth } from './check-health.js';
import { config, discoveryOptions } from './config.js';
import { createConsulAdvertiser } from './consul-advertiser.js';
import { createConsulClient } from './consul-client.js';
import { createConsulDiscovery } from './consul-discovery.js';

/** Hosts by Consul's services and tags; advertised versions in its KV store. */
export const plugin = definePlugin({
  name: '@pipit/plugin-consul',
  config,
  provides: { discovery: { version: 1, options: discoveryOptions }, advertiser: { version: 1 } },
  setup(settings) {
    const client = createConsulClient(settings);
    return {
      discovery: createConsulDiscovery({ client, config: settings }),
      advertiser: createConsulAdvertiser<Readonly<Record<string, never>>>({ client, config: settings }),
      checkHealth: (call) => checkConsulHealth({ client, config: settings }, call),
    };
  },
});

export type { ConsulConfig } from './config.js';
