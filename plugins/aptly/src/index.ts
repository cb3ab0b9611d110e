import { definePlugin } from '@pipit/core';
import { createSuiteMemory } from '@pipit/plugin-kit';
import { createAptlyRepository } from './aptly-repository.js';
import { checkAptlyHealth } from './check-health.js';
import { config } from './config.js';

/** No pipeline says anything beside `use:` to this plugin. */
type NoOptions = Readonly<Record<string, never>>;

/** A signed APT repository kept by aptly, over its command line or its REST API. */
export const plugin = definePlugin({
  name: '@pipit/plugin-aptly',
  config,
  provides: { repository: { version: 1 } },
  setup(settings, { folder, logger }) {
    const memory = createSuiteMemory(folder);
    return {
      repository: createAptlyRepository<NoOptions>({ config: settings, logger, remember: memory.remember }),
      checkHealth: (call) => checkAptlyHealth(settings, memory, call),
    };
  },
});

export type { AptlyConfig } from './config.js';
