import type { Op } from '../context/operation-call.js';
import type { Host } from '../domain/host.js';

/** Takes a host out of service around its install. */
export interface Balancer<Options> {
  drain(request: { readonly host: Host; readonly options: Options }, op: Op): Promise<void>;
  restore(request: { readonly host: Host; readonly options: Options }, op: Op): Promise<void>;
}
