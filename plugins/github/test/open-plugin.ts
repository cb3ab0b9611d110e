import { createTestLogger, createTestSetup } from '@pipit/plugin-testing';
import type { z } from 'zod';
import { config } from '../src/config.js';
import { plugin } from '../src/index.js';
import { secret } from './signed-deliveries.js';

export const goodConfig = { secret, repositories: { 'acme/web': {} } } satisfies z.input<typeof config>;

/** An instance as pipit sets it up, with all abilities that this plugin has. A folder is needed only where git runs. */
export const openPlugin = async (settings: z.input<typeof config>, folder = '/nonexistent') => {
  const logger = createTestLogger();
  const { trigger, notifier, receive, checkHealth } = await plugin.setup(config.parse(settings), createTestSetup({ folder, logger }));
  const { poll, findRepository, access } = trigger;
  if (poll === undefined || findRepository === undefined || access === undefined || checkHealth === undefined)
    throw new Error('an ability of the plugin is gone');
  return { trigger: { poll, findRepository, access }, notifier, checkHealth, logger, ...(receive === undefined ? {} : { receive }) };
};
