import type { Labels } from '../domain/host.js';

/** Pieces of the two alternate; what belongs together is in one of them. */
export type OutputStream = 'stdout' | 'stderr';

export interface RunOptions {
  /** Relative to {@link Shell.folder}, or absolute. Default: the folder. */
  readonly cwd?: string;
  /** Added to a minimal environment (PATH, LANG, HOME = the folder); pipit's own environment is never passed on. */
  readonly env?: Labels;
  readonly input?: string;
  /** Run as root (by sudo over a transport); default false. */
  readonly root?: boolean;
  /**
   * The command is, or runs, code of the repository that is delivered. On pipit's own machine it then runs in the sandbox,
   * which sees this shell's folder and not pipit's data, keys, sockets or environment; on another host it is that host's matter.
   */
  readonly confined?: boolean;
  /** The confined command needs no network, and gets none on pipit's own machine. Default false: what the config says. */
  readonly offline?: boolean;
  /** Called with each piece of output as it comes, and where it comes from if that is known. */
  readonly onOutput?: (text: string, from?: OutputStream) => void;
  /** Milliseconds; after it the process group is ended and a PluginError `COMMAND_TIMED_OUT` (reconcile) thrown. Default: the call's deadline. */
  readonly timeoutMs?: number;
}

export interface RunResult {
  /** 128 + n when signal n ended it. */
  readonly exitCode: number;
  /** The last 1 MiB. */
  readonly stdout: string;
  /** The last 1 MiB. */
  readonly stderr: string;
}

/**
 * One place where commands run, chosen by `on:` in the config: this machine, or a host over a transport. It belongs to one call: when the
 * call's signal is aborted, what still runs is ended and its promise rejects with a PluginError `COMMAND_ABORTED` (reconcile).
 */
export interface Shell {
  /**
   * An absolute path. Empty at each attempt of an awaited call; a task's own from its start until its end is recorded.
   * Pipit removes it on every path, also after a crash.
   */
  readonly folder: string;
  /** An array of arguments, never a shell's text. A non-zero exit is a result and not an error; a program that is missing is `COMMAND_NOT_FOUND` (stop). */
  run(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Paths are relative to the folder, or absolute. Parent folders are made. */
  write(path: string, content: string | AsyncIterable<Uint8Array>, options?: { readonly mode?: number }): Promise<void>;
  /** Throws a PluginError `SHELL_FILE_NOT_FOUND` (stop) on the first read when there is no such file. */
  read(path: string): AsyncIterable<Uint8Array>;
}
