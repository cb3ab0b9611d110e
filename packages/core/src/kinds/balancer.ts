import type { Op } from '../context/operation-call.js';
import type { Host } from '../domain/host.js';

/** Takes a host out of service around its install. Repeating either is harmless. */
export interface Balancer<Options> {
  /** Ends when the host gets no new requests and those under way have ended; the signal ends the wait, not the drain. */
  drain(request: { readonly host: Host; readonly options: Options }, op: Op): Promise<void>;
  /** Ends when the host is in service again. */
  restore(request: { readonly host: Host; readonly options: Options }, op: Op): Promise<void>;
}
