import { type Op, PluginError, type Shell } from '@pipit/core';
import { endGpgAgent, ensureRepositoryKey, exportPublicKey, type PublishedTree, type RepositoryKey, treeInFolder } from '@pipit/plugin-kit';
import type { FreightConfig } from './config.js';
import { createFreight, type Freight } from './freight.js';
import { type FreightConf, readFreightConf, renderFreightConf } from './freight-conf.js';
import { createFreightLibrary, type FreightLibrary } from './freight-library.js';

/** Freight, ready to be used in one call. */
export interface Session {
  readonly freight: Freight;
  readonly library: FreightLibrary;
  readonly conf: FreightConf;
  /** What hosts read. */
  readonly tree: PublishedTree;
  /** What hosts trust. */
  readonly keys: readonly string[];
}

/** Where hosts reach VARCACHE. */
export const publishedUrl = ({ url }: FreightConfig, varcache: string): string => url ?? `file:${varcache}`;

const ensureRoot = async (shell: Shell, root: string): Promise<void> => {
  const made = await shell.run(['mkdir', '-p', '--', root]);
  if (made.exitCode === 0) return;
  throw new PluginError({
    code: 'FREIGHT_ROOT_NOT_MADE',
    message: `The folder ${root} could not be made: ${made.stderr.trim()}`,
    hint: "Make it for the user that Freight runs as, or correct the config's `root`.",
    recovery: 'stop',
  });
};

const ensureConf = async (shell: Shell, root: string, text: string): Promise<string> => {
  const path = `${root}/pipit-freight.conf`;
  const there = await shell.run(['cat', '--', path]);
  if (there.exitCode !== 0 || there.stdout !== text) await shell.write(path, text);
  return path;
};

/**
 * Runs `work` with Freight at the place of the call's shell. With `root` the folder, its freight.conf and the key are made when they are not
 * there, and the agent of the plugin's own key is ended afterwards.
 */
export const withFreight = async <T>(config: FreightConfig, op: Op<'shell'>, work: (session: Session) => Promise<T>): Promise<T> => {
  const { shell, signal } = op;
  const { root, program } = config;
  signal.throwIfAborted();
  const gnupgHome = config.gnupgHome ?? `${root}/gnupg`;
  const isOwnKey = root !== undefined && config.key === 'create';
  const own = async (folder: string): Promise<{ readonly path: string; readonly key: RepositoryKey }> => {
    await ensureRoot(shell, folder);
    const key = await ensureRepositoryKey({ shell, root: folder, key: config.key, gnupgHome });
    return { key, path: await ensureConf(shell, folder, renderFreightConf(folder, key.id, config.architectures)) };
  };
  try {
    const made = root === undefined ? undefined : await own(root);
    const conf = await readFreightConf(shell, made?.path ?? config.conf ?? '');
    const keys: string[] = [...(config.publicKeys ?? (made === undefined ? [] : [made.key.publicKey]))];
    if (keys.length === 0) for (const id of conf.keys) keys.push(await exportPublicKey(shell, id, gnupgHome));
    return await work({
      conf,
      keys,
      freight: createFreight({ shell, program, conf, gnupgHome }),
      library: createFreightLibrary(shell, conf),
      tree: treeInFolder(shell, conf.varcache),
    });
  } finally {
    // A cancelled call's shell runs nothing more; the next call ends the agent.
    if (isOwnKey && !signal.aborted) await endGpgAgent(shell, `${root}/gnupg`);
  }
};
