import {
  type Advertiser,
  type ArtifactId,
  type Deployer,
  type Discovery,
  type Host,
  type HostReport,
  type Notifier,
  parseHostAddress,
  parsePackageName,
  type RolloutRequest,
} from '@pipit/core';
import { callOutside } from './call-outside.js';
import type { Life } from './life.js';
import type { HostFault, Outside, SimulatedHost } from './outside.js';
import { ringKey } from './simulated-build.js';

/** Lists hosts by the rings whose tag they bear, available or not. */
export const createSimulatedDiscovery = (outside: Outside, life: Life): Discovery<unknown> => ({
  findHosts: ({ target }) =>
    callOutside(outside, life, 'discovery.findHosts', () => ({
      hosts: [...outside.hosts.values()]
        .filter((host) => 'ring' in target && host.rings.includes(target.ring))
        .map(
          (host): Host => ({
            id: host.id,
            address: parseHostAddress(`${host.id}.example.org`),
            available: host.reachable,
            ...(host.reachable ? {} : { reason: 'its check fails' }),
            attributes: host.architecture === undefined ? {} : { architecture: host.architecture },
          }),
        ),
    })),
});

/** Advertised versions with check-and-set. */
export const createSimulatedAdvertiser = (outside: Outside, life: Life): Advertiser<unknown> => ({
  read: ({ ring }) =>
    callOutside(outside, life, 'advertiser.read', () => {
      const there = outside.advertised.get(ringKey(ring));
      return there === undefined ? { cursor: '0' } : { current: there.document, cursor: String(there.revision) };
    }),
  write: ({ ring, next, expected }) =>
    callOutside(outside, life, 'advertiser.write', () => {
      const revision = outside.advertised.get(ringKey(ring))?.revision ?? 0;
      if (String(revision) !== expected) return 'conflict';
      outside.advertised.set(ringKey(ring), { document: next, revision: revision + 1 });
      outside.advertisements.push({ ring: ring.ring, document: next });
      return 'written';
    }),
});

/** A chat that updates a message in place when it is handed the former one. */
export const createSimulatedNotifier = (outside: Outside, life: Life): Notifier<unknown> => ({
  notify: ({ notice, previous }) =>
    callOutside(outside, life, 'notifier.notify', () => {
      outside.notices.push({ notice, previous });
      return previous ?? `message-${outside.notices.length}`;
    }),
});

const INDEPENDENT = ['all', 'noarch'];

const artifactFor = (request: RolloutRequest<unknown>, host: SimulatedHost): ArtifactId | undefined =>
  request.release.artifacts.find(
    (each) => host.architecture === undefined || each.architecture === host.architecture || INDEPENDENT.includes(each.architecture),
  );

const has = (fault: HostFault, version: string | undefined): boolean =>
  typeof fault === 'string' ? (version ?? '').includes(fault) : fault;

const isHealthy = (outside: Outside, host: SimulatedHost): boolean =>
  !has(host.sick, host.installed?.version) && outside.plans.get(host.installed?.version ?? '')?.release !== 'unhealthy';

const reportOf = (outside: Outside, host: SimulatedHost, checked: boolean): HostReport =>
  host.reachable
    ? {
        hostId: host.id,
        reachable: true,
        ...(host.busy ? { busy: true } : {}),
        ...(checked ? { healthy: isHealthy(outside, host) } : {}),
        ...(host.installed === undefined ? {} : { installed: host.installed }),
        ...(host.foreign === undefined ? {} : { foreign: { name: parsePackageName('web'), version: host.foreign } }),
      }
    : { hostId: host.id, reachable: false };

/** The host's own script: refuses an older sequence, compares the bytes with the rollout's, installs, writes the receipt. */
const installOn = (outside: Outside, host: SimulatedHost, request: RolloutRequest<unknown>): HostReport => {
  const report = (): HostReport => reportOf(outside, host, request.check !== undefined);
  const failed = (code: string, message: string): HostReport => ({ ...report(), error: { code, message } });
  if (!host.reachable) return report();
  const { version } = request.release;
  const artifact = artifactFor(request, host);
  if (artifact === undefined) return failed('SIMULATED_NO_ARTIFACT', `no artifact for ${host.architecture}`);
  if ((host.installed?.sequence ?? 0) > request.sequence)
    return failed('SIMULATED_OLDER', `it has seen rollout ${host.installed?.sequence}`);
  if (host.foreign !== undefined && request.takeOver !== true) return failed('SIMULATED_FOREIGN', `web ${host.foreign} is not pipit's`);
  host.foreign = undefined;
  if (has(host.broken, version) || outside.plans.get(version)?.release === 'fails to install')
    return failed('SIMULATED_APT', 'dpkg ended with 1');
  const offered = outside.published.find(
    (each) => each.name === artifact.name && each.version === version && each.architecture === artifact.architecture,
  );
  if (offered?.digest !== artifact.digest)
    return failed('SIMULATED_DIGEST', `the repository has ${offered?.digest ?? 'nothing'}, the rollout names ${artifact.digest}`);
  const digest = has(host.wrongBytes, version) ? (`sha256:${'0'.repeat(64)}` as const) : artifact.digest;
  const same = host.installed?.version === version && host.installed.digest === digest && host.installed.sequence === request.sequence;
  if (!same) {
    host.installed = { version, digest, sequence: request.sequence };
    host.installs.push(host.installed);
  }
  return report();
};

/** A deployer whose batches go on by themselves, some hosts an inspect. */
export const createSimulatedDeployer = (outside: Outside, life: Life): Deployer<unknown> => {
  const call = <T>(name: string, effect: () => T): Promise<T> => callOutside(outside, life, `deployer.${name}`, effect);
  const reports = new Map<string, HostReport[]>();
  return {
    formats: ['deb'],
    find: (_request, op) => call('find', () => outside.batches.find((batch) => batch.key === op.key)?.key),
    start: (request, op) =>
      call('start', () => {
        outside.batches.push({ key: op.key, hostIds: request.hosts.map((host) => host.id) });
        return op.key;
      }),
    inspect: ({ handle, request }) =>
      call('inspect', () => {
        const done = reports.get(handle) ?? [];
        for (const { id } of request.hosts.slice(done.length, done.length + outside.hostsAnInspect)) {
          const host = outside.hosts.get(id);
          done.push(host === undefined ? { hostId: id, reachable: false } : installOn(outside, host, request));
        }
        reports.set(handle, done);
        return done.length === request.hosts.length
          ? ({ state: 'ended', result: done } as const)
          : ({ state: 'running', partial: [...done] } as const);
      }),
    observe: ({ hosts, check }) =>
      call('observe', () =>
        hosts.map(({ id }) => {
          const host = outside.hosts.get(id);
          return host === undefined ? { hostId: id, reachable: false } : reportOf(outside, host, check !== undefined);
        }),
      ),
  };
};
