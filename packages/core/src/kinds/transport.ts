import type { Call } from '../context/call.js';
import type { Shell } from '../context/shell.js';
import type { Host } from '../domain/host.js';

/** Reaches another host: ssh, kubectl exec. Pipit adds the folder and its clean-up, and gives it to other plugins as {@link Shell}. */
export interface Transport {
  connect(host: Host, call: Call): Promise<Omit<Shell, 'folder'> & { close(): Promise<void> }>;
}
