import type { Call } from '../context/call.js';
import type { Op } from '../context/operation-call.js';
import type { Advertisement } from '../domain/advertisement.js';
import type { RingRef } from '../domain/host.js';
import type { Cursor } from './task.js';

/** Where advertised versions live; the discovery instance unless configured. */
export interface Advertiser<Options> {
  /**
   * The cursor serves both `after` (hold until it changed, but answer before the call's deadline) and `expected` of a write; where a vendor
   * counts these differently, it holds both. There is one also while nothing is advertised.
   */
  read(
    query: { readonly ring: RingRef; readonly after?: Cursor; readonly options: Options },
    call: Call,
  ): Promise<{ readonly current?: Advertisement; readonly cursor: Cursor }>;
  /**
   * Check-and-set of the plain version string and the document, in one transaction. `expected` is the cursor of the read before.
   * `conflict`: somebody wrote in between; pipit reads again and decides by the sequence.
   */
  write(
    request: { readonly ring: RingRef; readonly next: Advertisement; readonly expected: Cursor; readonly options: Options },
    op: Op,
  ): Promise<'written' | 'conflict'>;
}
