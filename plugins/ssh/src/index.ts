import { definePlugin } from '@pipit/core';
import { config } from './config.js';
import { openSshClient } from './open-ssh-client.js';
import { createSshTransport } from './ssh-transport.js';

/** Hosts reached over the machine's own OpenSSH. */
export const plugin = definePlugin({
  name: '@pipit/plugin-ssh',
  config,
  provides: { transport: { version: 1 } },
  async setup(settings, { folder }) {
    const client = await openSshClient(settings, folder);
    return { transport: createSshTransport(client), dispose: client.dispose };
  },
});
