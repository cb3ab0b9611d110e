import type { Labels } from '../domain/host.js';

export interface ConfinedCommand {
  readonly argv: readonly string[];
  /** The whole environment; nothing of pipit's own is added. */
  readonly env: Labels;
}

export interface ConfineOptions {
  /** The working folder; writable. */
  readonly folder: string;
  /** Further folders that may be written. */
  readonly writable?: readonly string[];
  /** Folders shown at another path, for example a host's `/opt`: `{ from: '/data/hosts/web1/opt', to: '/opt' }`. Ignored where {@link Sandbox.mode} is not `namespaces`. */
  readonly mounts?: readonly { readonly from: string; readonly to: string; readonly writable?: boolean }[];
  readonly env?: Labels;
}

/**
 * Where code of the delivered repositories runs on pipit's own machine: CI scripts, post-install scripts, services.
 * It never sees pipit's data folder, keys, sockets, agent or environment, and cannot write outside the folders it is given.
 */
export interface Sandbox {
  /**
   * `namespaces`: bubblewrap, with a user of its own when pipit is root. `user`: only a user of its own (pipit is root, no namespaces to be had).
   * `trusted`: none, because the config says that the repositories are trusted.
   */
  readonly mode: 'namespaces' | 'user' | 'trusted';
  /** The command that runs `argv` confined. Pure: it starts nothing. */
  confine(argv: readonly string[], options: ConfineOptions): ConfinedCommand;
  /** Makes a folder and all in it belong to the sandbox's user, so that confined code may write there. */
  giveFolder(folder: string): Promise<void>;
}
