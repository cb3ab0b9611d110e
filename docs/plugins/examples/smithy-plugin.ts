import { definePlugin } from '@pipit/core';
import { createSmithyCi } from './smithy-ci.js';
import { createSmithyClient } from './smithy-client.js';
import { smithyConfig, smithyOptions } from './smithy-config.js';

export const plugin = definePlugin({
  name: 'pipit-plugin-smithy',
  config: smithyConfig,
  provides: { ci: { version: 1, options: smithyOptions } },
  setup: (config) => ({ ci: createSmithyCi(createSmithyClient(config)) }),
});
