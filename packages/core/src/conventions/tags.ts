import type { RingRef } from '../domain/host.js';
import type { RingName } from '../identifiers.js';

/** The last ring, whose hosts bear the plain tag. */
export const PRODUCTION_RING = 'production' as RingName; // a constant that the parser accepts

/**
 * The discovery tag of a ring's hosts: `app::role` for production, `app::role_canary` for canary, `app::role_<ring>` for any other.
 *
 * @example ringTag({ app: 'web', role: 'app', ring: 'canary' }) // 'web::app_canary'
 */
export const ringTag = ({ app, role, ring }: RingRef): string => (ring === PRODUCTION_RING ? `${app}::${role}` : `${app}::${role}_${ring}`);
