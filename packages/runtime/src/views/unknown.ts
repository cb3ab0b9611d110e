import { PluginError } from '@pipit/core';

/** Something that was asked for by a name nobody has. */
export const unknown = (what: { readonly code: string; readonly message: string; readonly hint: string }): PluginError =>
  new PluginError({ ...what, recovery: 'stop' });
