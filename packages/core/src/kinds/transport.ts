import type { Call } from '../context/call.js';
import type { Shell } from '../context/shell.js';
import type { Host } from '../domain/host.js';

/** A {@link Shell} that has no folder yet: every path and `cwd` that it is given is absolute. */
export interface Connection extends Omit<Shell, 'folder' | 'read'> {
  /**
   * Throws a PluginError `SHELL_FILE_NOT_FOUND` (stop) on the first read when there is no such file.
   *
   * @param options.below a folder above the file in which code of a repository could write: a link in any part of the path below it, and
   * what is no plain file, are refused
   */
  read(path: string, options?: { readonly below?: string }): AsyncIterable<Uint8Array>;
  /** Repeating it is harmless. What was started detached on the host goes on. */
  close(): Promise<void>;
}

/** Reaches another host: ssh, kubectl exec. Pipit adds the folder and its clean-up, and gives it to other plugins as {@link Shell}. */
export interface Transport {
  /** Throws a PluginError (retry) when the host cannot be reached. */
  connect(host: Host, call: Call): Promise<Connection>;
}
