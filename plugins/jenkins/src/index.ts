import { createSecret, definePlugin } from '@pipit/core';
import { receiveCallback } from './callback.js';
import { checkHealth } from './check-health.js';
import { config, options } from './config.js';
import { createJenkinsCi } from './jenkins-ci.js';
import { createJenkinsClient } from './jenkins-client.js';

/** Builds on Jenkins. */
export const plugin = definePlugin({
  name: '@pipit/plugin-jenkins',
  config,
  provides: { ci: { version: 1, options } },
  setup(settings) {
    const { url, user, token, password, callbackSecret, previousCallbackSecret, parameters } = settings;
    // The schema let one of them through.
    const client = createJenkinsClient({ url, user, secret: token ?? password ?? createSecret('') });
    const secrets = [callbackSecret, previousCallbackSecret].flatMap((secret) => secret ?? []);
    return {
      ci: createJenkinsCi({ client, names: parameters, url }),
      receive: async (request) => receiveCallback(request, { secrets, names: parameters }),
      checkHealth: (call) => checkHealth(client, settings, call.signal),
    };
  },
});

export type { JenkinsConfig, JenkinsOptions } from './config.js';
