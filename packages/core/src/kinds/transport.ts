import type { Call } from '../context/call.js';
import type { Shell } from '../context/shell.js';
import type { Host } from '../domain/host.js';

/** A {@link Shell} that has no folder yet: every path and `cwd` that it is given is absolute. */
export interface Connection extends Omit<Shell, 'folder'> {
  /** Repeating it is harmless. What was started detached on the host goes on. */
  close(): Promise<void>;
}

/** Reaches another host: ssh, kubectl exec. Pipit adds the folder and its clean-up, and gives it to other plugins as {@link Shell}. */
export interface Transport {
  /** Throws a PluginError (retry) when the host cannot be reached. */
  connect(host: Host, call: Call): Promise<Connection>;
}
