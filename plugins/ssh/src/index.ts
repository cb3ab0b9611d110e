import { definePlugin } from '@pipit/core';
import { checkSshHealth } from './check-ssh-health.js';
import { config } from './config.js';
import { openSshClient } from './open-ssh-client.js';
import { createSshDeployer } from './ssh-deployer.js';
import { createSshTransport } from './ssh-transport.js';

/** No pipeline says anything beside `use:` to this plugin. */
type NoOptions = Readonly<Record<string, never>>;

/** Hosts reached over the machine's own OpenSSH. */
export const plugin = definePlugin({
  name: '@pipit/plugin-ssh',
  config,
  provides: { transport: { version: 1 }, deployer: { version: 1 } },
  async setup(settings, { folder }) {
    const client = await openSshClient(settings, folder);
    return {
      transport: createSshTransport(client),
      deployer: createSshDeployer<NoOptions>({ client, config: settings }),
      checkHealth: (call) => checkSshHealth(settings, folder, call),
      dispose: client.dispose,
    };
  },
});
