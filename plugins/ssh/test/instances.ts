import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Host, parseHostAddress } from '@pipit/core';
import { createTestSetup } from '@pipit/plugin-testing';
import type { SshServer } from 'pipit-lab';
import { plugin } from '../src/index.js';

export const hostAt = (address: string, id = 'web1'): Host => ({ id, address: parseHostAddress(address), available: true, attributes: {} });

/** What a user would write for one of the tests' servers. */
export const configFor = (server: SshServer): Readonly<Record<string, unknown>> => ({
  user: 'root',
  port: server.port,
  identity: server.privateKey,
  knownHosts: server.knownHosts,
  sshConfig: 'none',
  connectTimeout: '5s',
});

/** An instance set up over a config, in a folder of its own unless one is given. */
export const openInstance = async (config: Readonly<Record<string, unknown>>, folder?: string) => {
  const own = folder ?? (await mkdtemp(join(tmpdir(), 'pipit-t-')));
  const checked = await plugin.config['~standard'].validate(config);
  if (checked.issues !== undefined) throw new Error(JSON.stringify(checked.issues));
  const instance = await plugin.setup(checked.value, createTestSetup({ folder: own }));
  return {
    ...instance,
    folder: own,
    close: async (): Promise<void> => {
      await instance.dispose?.();
      if (folder === undefined) await rm(own, { recursive: true, force: true });
    },
  };
};

/** Waits for a condition, and fails with what it was after the deadline. */
export const until = async <T>(what: string, look: () => Promise<T | undefined> | T | undefined, withinMs = 20_000): Promise<T> => {
  for (const end = Date.now() + withinMs; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
  }
};
