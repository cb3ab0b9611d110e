import { createTestLogger, createTestSetup } from '@pipit/plugin-testing';
import type { z } from 'zod';
import { config } from '../src/config.js';
import { plugin } from '../src/index.js';
import { secret } from './signed-deliveries.js';

export const goodConfig = { secret, repositories: { 'acme/web': {} } } satisfies z.input<typeof config>;

/** An instance as pipit sets it up. A folder is needed only where git runs. */
export const openPlugin = async (settings: z.input<typeof config>, folder = '/nonexistent') => {
  const logger = createTestLogger();
  const instance = await plugin.setup(config.parse(settings), createTestSetup({ folder, logger }));
  const { receive } = instance;
  return { ...instance, logger, ...(receive === undefined ? {} : { receive }) };
};
