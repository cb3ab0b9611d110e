import type { Call } from '../context/call.js';
import type { Host, RingRef } from '../domain/host.js';
import type { Cursor } from './task.js';

export interface HostQuery<Options> {
  /** A ring, or a service of its own such as the build hosts. How a ring becomes a tag is the plugin's. */
  readonly target: RingRef | { readonly service: string };
  /**
   * Hold until the answer differs from what this cursor stood for, but answer before the call's deadline: at it the signal is aborted and
   * the call has failed. Waking for other reasons is allowed.
   */
  readonly after?: Cursor;
  readonly options: Options;
}

/** Knows which hosts there are. */
export interface Discovery<Options> {
  /** All members, in an order that stays; an unavailable one says why. None is an empty list and not an error. A host with the tags of two rings belongs to both answers: pipit gives it to the earlier. */
  findHosts(query: HostQuery<Options>, call: Call): Promise<{ readonly hosts: readonly Host[]; readonly cursor?: Cursor }>;
}
