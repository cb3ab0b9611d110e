import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createPluginLoader } from '@pipit/config';
import type { Backend } from './world.js';

// The engine and the server are most of pipit's weight: they are loaded only by the commands that need them.
const loadRuntime = () => import('@pipit/runtime');
const loadServer = () => import('@pipit/server');

// This package depends on pipit's own plugins, so that they are found from here.
const ownFolder = dirname(fileURLToPath(import.meta.url));

/** The packages behind the command, as they are installed. */
export const nodeBackend: Backend = {
  loadPlugin: (beforePlugin) => createPluginLoader({ installationFolder: ownFolder, beforePlugin }),
  findServer: async (dataFolder) => (await loadRuntime()).findServer(dataFolder),
  defaultDataFolder: async (environment) => (await loadRuntime()).defaultDataFolder(environment),
  readOwnToken: async (dataFolder) => (await loadRuntime()).readOwnToken(dataFolder),
  openRuntime: async (options) => (await loadRuntime()).createRuntime({ ...options, pluginFolder: ownFolder }),
  openServer: async (options) => (await loadServer()).createServer({ ...options, clock: { now: () => new Date() } }),
  openWaitingServer: async (options) => (await loadServer()).createWaitingServer(options),
  openHttpApi: async ({ url, token }) => (await loadServer()).createHttpApi({ url, ...(token === undefined ? {} : { token }) }),
};
