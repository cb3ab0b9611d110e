import { PluginError } from '@pipit/core';

/** Something that was asked for by a name nobody has. */
export const unknown = (code: string, message: string, hint: string): PluginError =>
  new PluginError({ code, message, hint, recovery: 'stop' });
