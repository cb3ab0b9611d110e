import type { HostView } from '@pipit/runtime';

export interface Expectation {
  readonly ring: string;
  /** null: nothing is installed. */
  readonly version: string | null;
}

/** Fails the example when a host does not run what the story says: nothing here is told that is not so. */
export const expectHosts = (hosts: readonly HostView[], expected: readonly Expectation[]): void => {
  for (const { ring, version } of expected) {
    const own = hosts.filter((host) => host.ring === ring);
    if (own.length === 0) throw new Error(`ring ${ring} has no hosts`);
    for (const host of own) {
      const found = host.report?.installed?.version ?? null;
      if (found !== version)
        throw new Error(`${host.hostId} of ${ring} has ${found ?? 'nothing'} installed, expected ${version ?? 'nothing'}`);
      if (version !== null && host.report?.healthy !== true) throw new Error(`${host.hostId} of ${ring} is not healthy`);
    }
  }
};
