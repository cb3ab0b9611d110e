import { fileURLToPath } from 'node:url';
import { type Op, PluginError } from '@pipit/core';
import { endGpgAgent, ensureRepositoryKey, type PublishedTree, treeInFolder, treeOverHttp } from '@pipit/plugin-kit';
import type { Aptly } from './aptly.js';
import { createAptlyApi } from './aptly-api.js';
import { createAptlyCommand } from './aptly-command.js';
import type { AptlyConfig } from './config.js';

/** aptly, ready to be used in one call. */
export interface Session {
  readonly aptly: Aptly;
  /** What hosts read. */
  readonly tree: PublishedTree;
  /** What hosts trust. */
  readonly keys: readonly string[];
}

/** Where hosts reach the published repository. */
export const publishedUrl = ({ url, root }: AptlyConfig): string => url ?? `file:${root}/public`;

const ensureRoot = async (root: string, { shell }: Op<'shell'>): Promise<string> => {
  const path = `${root}/pipit-aptly.conf`;
  const text = `${JSON.stringify({ rootDir: root, architectures: [], gpgProvider: 'gpg' }, undefined, 2)}\n`;
  const there = await shell.run(['cat', '--', path]);
  if (there.exitCode === 0 && there.stdout === text) return path;
  const made = await shell.run(['mkdir', '-p', '--', root]);
  if (made.exitCode !== 0)
    throw new PluginError({
      code: 'APTLY_ROOT_NOT_MADE',
      message: `The folder ${root} could not be made: ${made.stderr.trim()}`,
      hint: "Make it for the user that aptly runs as, or correct the config's `root`.",
      recovery: 'stop',
    });
  await shell.write(path, text);
  return path;
};

/**
 * Runs `work` with aptly over the command line or the API, as the config says. With the command line the root folder and the key are made when
 * they are not there, and the agent of the plugin's own key is ended afterwards.
 */
export const withAptly = async <T>(config: AptlyConfig, op: Op<'shell'>, work: (session: Session) => Promise<T>): Promise<T> => {
  const { shell, signal } = op;
  signal.throwIfAborted();
  if (config.api !== undefined) {
    const url = publishedUrl(config);
    return work({
      aptly: createAptlyApi({
        url: config.api.url,
        ...(config.api.user === undefined ? {} : { user: config.api.user }),
        ...(config.api.password === undefined ? {} : { password: config.api.password }),
        ...(config.api.token === undefined ? {} : { token: config.api.token }),
        shell,
        signal,
        repo: config.repo,
        signWith: config.key,
        uploadFolder: `pipit-${config.repo}`,
      }),
      tree: url.startsWith('file:') ? treeInFolder(shell, fileURLToPath(new URL(url))) : treeOverHttp(url, signal),
      keys: config.publicKeys ?? [],
    });
  }
  const root = config.root ?? '';
  const configPath = await ensureRoot(root, op);
  const isOwnKey = config.key === 'create';
  try {
    const key = await ensureRepositoryKey({
      shell,
      root,
      key: config.key,
      ...(config.gnupgHome === undefined ? {} : { gnupgHome: config.gnupgHome }),
    });
    return await work({
      aptly: createAptlyCommand({ shell, configPath, repo: config.repo, signWith: key.id, gnupgHome: key.gnupgHome }),
      tree: treeInFolder(shell, `${root}/public`),
      keys: config.publicKeys ?? [key.publicKey],
    });
  } finally {
    // A cancelled call's shell runs nothing more; the next call ends the agent.
    if (isOwnKey && !signal.aborted) await endGpgAgent(shell, `${root}/gnupg`);
  }
};
