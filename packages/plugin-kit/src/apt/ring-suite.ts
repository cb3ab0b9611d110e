import type { RingRef } from '@pipit/core';

/** The suite that lists every published package; no ring's hosts read it. */
export const PUBLISHED_SUITE = 'published';

/**
 * The suite that a ring's hosts read: `<app>-<role>-<ring>`. Where the role or the ring has a `-` of its own the parts are joined by `_`,
 * which no part may hold, so that two rings never share a suite.
 *
 * @example ringSuite({ app: 'web', role: 'app', ring: 'canary' }) // 'web-app-canary'
 */
export const ringSuite = ({ app, role, ring }: RingRef): string => [app, role, ring].join(`${role}${ring}`.includes('-') ? '_' : '-');
