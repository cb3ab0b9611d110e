import { definePlugin } from '@pipit/core';
import { createSuiteMemory } from '@pipit/plugin-kit';
import { checkFreightHealth } from './check-health.js';
import { config } from './config.js';
import { createFreightRepository } from './freight-repository.js';

/** No pipeline says anything beside `use:` to this plugin. */
type NoOptions = Readonly<Record<string, never>>;

/** A signed APT repository kept by Freight. */
export const plugin = definePlugin({
  name: '@pipit/plugin-freight',
  config,
  provides: { repository: { version: 1 } },
  setup(settings, { folder, logger }) {
    const memory = createSuiteMemory(folder);
    return {
      repository: createFreightRepository<NoOptions>({ config: settings, logger, remember: memory.remember }),
      checkHealth: (call) => checkFreightHealth(settings, memory, call),
    };
  },
});

export type { FreightConfig } from './config.js';
