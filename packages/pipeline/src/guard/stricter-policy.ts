import type { RingPolicy } from '../records/rows.js';
import { requiredHosts } from './judge-ring.js';

/** Each decision takes the stricter of the policy when the run began and today's: a config change can hold a run up, never wave it through. */
export const stricterPolicy = (then: RingPolicy, now: RingPolicy | undefined, hosts = 100): RingPolicy =>
  now === undefined
    ? then
    : {
        name: then.name,
        bakeMs: Math.max(then.bakeMs, now.bakeMs),
        minHealthy: requiredHosts(then.minHealthy, hosts) >= requiredHosts(now.minHealthy, hosts) ? then.minHealthy : now.minHealthy,
        promotion: then.promotion === 'manual' ? 'manual' : now.promotion,
        onFailure: now.onFailure,
      };
