import type { Sandbox } from '@pipit/core';
import { minimalEnvironment } from './test-shell.js';

/** A sandbox that confines nothing, as with a config that trusts its repositories. Only for code that the test itself wrote. */
export const createTrustedSandbox = (): Sandbox => ({
  mode: 'trusted',
  gaps: [],
  confine: (argv, { folder, env }) => ({ argv, env: { ...minimalEnvironment(folder), ...env } }),
  giveFolder: async () => {},
});
