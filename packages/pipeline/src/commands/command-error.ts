import { PluginError } from '@pipit/core';

/** A person's command that cannot be done as asked; nothing was changed. */
export const refuse = (code: string, message: string, hint: string): never => {
  throw new PluginError({ code, message, hint, recovery: 'stop' });
};
