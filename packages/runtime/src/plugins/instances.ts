import { chmod } from 'node:fs/promises';
import type { Config } from '@pipit/config';
import type { Kind, Kinds, Lifecycle, Logger, Sandbox } from '@pipit/core';
import { withFields } from '../machine/logger.js';
import { systemClock } from '../machine/system-clock.js';

/** A set-up instance, its types forgotten: config's validation has proved that a slot names an instance with its kind. */
export type AnyInstance = Partial<Kinds<unknown>> & Lifecycle;

export interface Instances {
  readonly names: readonly string[];
  get(name: string): AnyInstance | undefined;
  /** The kind of an instance that the config has validated to have it. */
  kindOf<K extends Kind>(name: string, kind: K): Kinds<unknown>[K];
  /** In reverse order of setup, each with the deadline; one that fails stops no other. */
  dispose(deadlineMs: number): Promise<void>;
}

export interface SetupOptions {
  readonly config: Config;
  /** Makes the private folder of an instance. */
  readonly instanceFolder: (name: string) => Promise<string>;
  readonly logger: Logger;
  readonly sandbox: Sandbox;
  readonly hookUrlOf: (instance: string) => string;
}

const within = async (work: Promise<unknown>, deadlineMs: number): Promise<void> => {
  const timeout = new AbortController();
  const late = systemClock.sleep(deadlineMs, timeout.signal).then(() => {
    if (!timeout.signal.aborted) throw new Error(`it took longer than ${deadlineMs} ms`);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    timeout.abort();
  }
};

/** Sets up every plugin instance of the config, in its order. When one fails, those before it are disposed of. */
export const setupInstances = async ({ config, instanceFolder, logger, sandbox, hookUrlOf }: SetupOptions): Promise<Instances> => {
  const instances = new Map<string, AnyInstance>();
  const dispose = async (deadlineMs: number): Promise<void> => {
    for (const [name, instance] of [...instances].reverse()) {
      instances.delete(name);
      await within(Promise.resolve(instance.dispose?.()), deadlineMs).catch((error: unknown) =>
        logger.warn({ instance: name, error }, 'Plugin not disposed of cleanly'),
      );
    }
  };
  for (const [name, { plugin, config: pluginConfig }] of Object.entries(config.plugins)) {
    const own = await instanceFolder(name);
    if (sandbox.mode === 'user') await chmod(own, 0o711);
    try {
      const instance = await plugin.setup(pluginConfig, {
        instance: name,
        hookUrl: hookUrlOf(name),
        folder: own,
        logger: withFields(logger, { instance: name }),
        clock: systemClock,
        sandbox,
      });
      instances.set(name, instance as AnyInstance); // what it has is what its `provides` said, which the loader has checked
    } catch (error) {
      await dispose(5_000);
      throw error;
    }
  }
  return {
    names: [...instances.keys()],
    get: (name) => instances.get(name),
    kindOf: <K extends Kind>(name: string, kind: K): Kinds<unknown>[K] => {
      const subject = instances.get(name)?.[kind];
      if (subject === undefined) throw new Error(`instance ${name} has no ${kind}`);
      return subject as Kinds<unknown>[K]; // looked up under this very kind
    },
    dispose,
  };
};
