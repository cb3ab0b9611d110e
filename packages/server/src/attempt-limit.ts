import type { Clock } from '@pipit/core';
import { networkOf } from './network-of.js';

/** Tries of a network that has not tried for a while. */
const BURST = 20;
/** After those, one try each. */
const REFILL_MS = 3_000;
/** The networks that are remembered; the one that tried longest ago is forgotten first. */
const MAX_NETWORKS = 10_000;

/** How often something may go wrong from one network: a bucket of tries that fills up again. */
export interface AttemptLimit {
  /** Seconds until the next try, or 0 when it may try now. */
  waitOf(address: string): number;
  /** Takes one try away. */
  note(address: string): void;
}

interface Bucket {
  readonly left: number;
  readonly at: number;
}

export const createAttemptLimit = (clock: Clock): AttemptLimit => {
  const buckets = new Map<string, Bucket>();
  const now = (): number => clock.now().getTime();
  const leftOf = (network: string): number => {
    const bucket = buckets.get(network);
    if (bucket === undefined) return BURST;
    return Math.min(BURST, bucket.left + Math.max(0, now() - bucket.at) / REFILL_MS);
  };
  return {
    waitOf: (address) => {
      const left = leftOf(networkOf(address));
      return left >= 1 ? 0 : Math.max(1, Math.ceil(((1 - left) * REFILL_MS) / 1000));
    },
    note: (address) => {
      const network = networkOf(address);
      const left = Math.max(0, leftOf(network) - 1);
      // Behind all others: a Map goes through its keys in the order in which they came.
      buckets.delete(network);
      buckets.set(network, { left, at: now() });
      const [oldest] = buckets.keys();
      if (buckets.size > MAX_NETWORKS && oldest !== undefined) buckets.delete(oldest);
    },
  };
};
