import type { Advertisement, Advertiser, Discovery, Host } from '@pipit/core';
import type { AdvertiserHarness, DiscoveryHarness } from '../../src/index.js';
import { artifactOf, hostOf, ringRef } from './requests.js';

type Options = Readonly<Record<string, never>>;

/** A value whose changes can be waited for, as a registry's blocking question does. */
class Watched<T> {
  private index = 0;
  private readonly woken = new Set<() => void>();
  constructor(private current: T) {}

  get value(): T {
    return this.current;
  }
  get cursor(): string {
    return String(this.index);
  }
  set(value: T): void {
    this.current = value;
    this.index += 1;
    for (const wake of this.woken) wake();
  }
  /** Ends at a change, or when the signal is aborted. */
  changedAfter(cursor: string, signal: AbortSignal | undefined): Promise<void> {
    if (cursor !== this.cursor) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        this.woken.delete(wake);
        resolve();
      };
      this.woken.add(wake);
      if (signal?.aborted === true) wake();
      signal?.addEventListener('abort', wake, { once: true });
    });
  }
}

export type DiscoveryFault =
  | 'leaves out the unavailable'
  | 'gives no reason'
  | 'lists a host twice'
  | 'answers another order each time'
  | 'throws where there is nobody'
  | 'answers from a cache'
  | 'never wakes'
  | 'holds beyond the deadline'
  | 'holds although it is aborted';

const createMemoryDiscovery = (
  members: Watched<readonly Host[]>,
  fault: DiscoveryFault | undefined,
  cache: readonly Host[],
): Discovery<Options> => {
  let asked = 0;
  return {
    findHosts: async ({ target, after }, { signal }) => {
      if ('service' in target) {
        if (fault === 'throws where there is nobody') throw new Error(`${target.service} is not known`);
        return { hosts: [] };
      }
      if (after !== undefined) {
        const deaf = fault === 'holds beyond the deadline' || fault === 'holds although it is aborted';
        if (fault === 'never wakes')
          await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
        await members.changedAfter(after, deaf ? undefined : signal);
      }
      asked += 1;
      const known = fault === 'answers from a cache' ? cache : members.value;
      const hosts = known
        .filter((host) => host.available || fault !== 'leaves out the unavailable')
        .map(({ reason, ...host }) => (reason === undefined || fault === 'gives no reason' ? host : { ...host, reason }));
      if (fault === 'lists a host twice') hosts.push(...hosts);
      return {
        hosts: fault === 'answers another order each time' && (asked + shuffles++) % 2 === 0 ? hosts.toReversed() : hosts,
        cursor: members.cursor,
      };
    },
  };
};

let shuffles = 0;

/** A registry of hosts in memory. */
export const memoryDiscoveryHarness = (fault?: DiscoveryFault): DiscoveryHarness<Options> => ({
  open: async () => {
    const cache: readonly Host[] = [hostOf('web1'), { ...hostOf('web2'), available: false, reason: 'Its health check fails' }];
    const members = new Watched(cache);
    return {
      options: {},
      ring: ringRef('canary'),
      availableIds: ['web1'],
      unavailableIds: ['web2'],
      empty: { service: 'nobody' },
      reopen: async () => createMemoryDiscovery(members, fault, cache),
      addHost: async () => {
        members.set([...members.value, hostOf('web3')]);
        return 'web3';
      },
    };
  },
});

export type AdvertiserFault =
  | 'advertises from the start'
  | 'loses the artifacts'
  | 'never replaces'
  | 'ignores the cursor'
  | 'takes the same again'
  | 'compares before it waits'
  | 'has one ring'
  | 'forgets the plain version'
  | 'holds although it is aborted'
  | 'never wakes'
  | 'writes although it is aborted';

type Rings = Map<string, Watched<Advertisement | undefined>>;

const createMemoryAdvertiser = (rings: Rings, plain: Map<string, string>, fault: AdvertiserFault | undefined): Advertiser<Options> => {
  const ringOf = (name: string): Watched<Advertisement | undefined> => {
    const key = fault === 'has one ring' ? 'all' : name;
    const known = rings.get(key) ?? new Watched<Advertisement | undefined>(fault === 'advertises from the start' ? FIRST : undefined);
    rings.set(key, known);
    return known;
  };
  return {
    read: async ({ ring, after }, { signal }) => {
      const slot = ringOf(ring.ring);
      if (after !== undefined) {
        if (fault === 'never wakes') await new Promise(() => {});
        await slot.changedAfter(after, fault === 'holds although it is aborted' ? undefined : signal);
      }
      const { value, cursor } = slot;
      if (value === undefined) return { cursor };
      return { current: fault === 'loses the artifacts' ? { ...value, artifacts: [] } : value, cursor };
    },
    write: async ({ ring, next, expected }, { signal }) => {
      if (fault !== 'writes although it is aborted') signal.throwIfAborted();
      const slot = ringOf(ring.ring);
      const same = fault === 'takes the same again' && slot.value?.sequence === next.sequence;
      if (expected !== slot.cursor && fault !== 'ignores the cursor' && !same) return 'conflict';
      if (fault === 'compares before it waits') await new Promise((resolve) => setImmediate(resolve));
      if (fault === 'never replaces' && slot.value !== undefined) return 'conflict';
      slot.set(next);
      if (fault !== 'forgets the plain version' || !plain.has(ring.ring)) plain.set(ring.ring, next.version);
      return 'written';
    },
  };
};

const advertisementOf = (version: string, sequence: number): Advertisement => {
  const { content: _content, ...artifact } = artifactOf(version, version);
  return { version: artifact.version, sequence, artifacts: [artifact] };
};

const FIRST = advertisementOf('1', 1);

/** Advertised versions in memory. */
export const memoryAdvertiserHarness = (fault?: AdvertiserFault): AdvertiserHarness<Options> => ({
  open: async () => {
    const rings: Rings = new Map();
    const plain = new Map<string, string>();
    return {
      options: {},
      ring: ringRef('canary'),
      otherRing: ringRef('production'),
      first: FIRST,
      second: advertisementOf('2', 2),
      reopen: async () => createMemoryAdvertiser(rings, plain, fault),
      readPlainVersion: async (ring) => plain.get(ring.ring),
    };
  },
});
