import type { Labels } from '../domain/host.js';

export interface ConfinedCommand {
  readonly argv: readonly string[];
  /** The environment of `argv`'s program, which is the sandbox's: it sets up what the confined code gets, and trusts nothing of that. */
  readonly env: Labels;
}

export interface ConfineOptions {
  /** The working folder; writable. */
  readonly folder: string;
  /** Further folders that may be written. */
  readonly writable?: readonly string[];
  /** Folders shown at another path, for example a host's `/opt`: `{ from: '/data/hosts/web1/opt', to: '/opt' }`; the mount point is made. Ignored where {@link Sandbox.mode} is not `namespaces`. */
  readonly mounts?: readonly { readonly from: string; readonly to: string; readonly writable?: boolean }[];
  readonly env?: Labels;
  /**
   * What the command may reach. `full`: what pipit reaches. `outbound`: the internet and what the config allows, and not this machine, link-local
   * and private networks. `none`: nothing. Default: what the config says. Where it cannot be had, the command has `full`, and {@link Sandbox.gaps} says so.
   */
  readonly network?: 'full' | 'outbound' | 'none';
  /** A file that gets a line for each limit that ended the command; in a folder that confined code cannot write to. */
  readonly report?: string;
}

/** What a sandbox cannot do on this machine: shown by `doctor`, and in the log of each run. */
export interface SandboxGap {
  /** What is affected. */
  readonly name: 'files' | 'calls' | 'limits' | 'network';
  /** What this machine lacks, and what that costs. */
  readonly detail: string;
  /** How to get it. */
  readonly hint: string;
}

/**
 * Where code of the delivered repositories runs on pipit's own machine: CI scripts, post-install scripts, services.
 * It sees the system's programs and the folders that it is given, and nothing else of the machine.
 */
export interface Sandbox {
  /**
   * `namespaces`: bubblewrap, with a user of its own when pipit is root. `user`: only a user of its own (pipit is root, no namespaces to be had).
   * `trusted`: none, because the config says that the repositories are trusted.
   */
  readonly mode: 'namespaces' | 'user' | 'trusted';
  /** What this machine cannot give; empty when nothing is missing. */
  readonly gaps: readonly SandboxGap[];
  /** The command that runs `argv` confined. Pure: it starts nothing. */
  confine(argv: readonly string[], options: ConfineOptions): ConfinedCommand;
  /** Makes a folder and all in it belong to the sandbox's user, so that confined code may write there. */
  giveFolder(folder: string): Promise<void>;
}
