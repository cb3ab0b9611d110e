import { definePlugin } from '@pipit/core';
import { config, options } from './config.js';
import { createFpmPackager } from './fpm-packager.js';

/** Makes debs and rpms with FPM, on this machine or wherever `on:` says. */
export const plugin = definePlugin({
  name: '@pipit/plugin-fpm',
  config,
  provides: { packager: { version: 1, options } },
  setup: (settings) => ({ packager: createFpmPackager(settings) }),
});

export type { FpmConfig, FpmOptions } from './config.js';
