import { PluginError } from '@pipit/core';
import type { ErrorRecord } from '../records/rows.js';

/** A person's command that cannot be done as asked; nothing was changed. */
export const refuse = (error: ErrorRecord): never => {
  throw new PluginError({ ...error, recovery: 'stop' });
};
