import type { Op } from '../context/operation-call.js';
import type { Release } from '../domain/artifact.js';
import type { HealthCheck } from '../domain/health-check.js';
import type { Host, HostReport, RingRef } from '../domain/host.js';
import type { Format, InstallSource } from '../domain/install-source.js';
import type { PackageName, UnitName } from '../identifiers.js';
import type { Task } from './task.js';

export interface RolloutRequest<Options> {
  readonly ring: RingRef;
  /** A host that has seen a higher one refuses. */
  readonly sequence: number;
  /** One batch. */
  readonly hosts: readonly Host[];
  /** Restarted after the install. */
  readonly services: readonly UnitName[];
  readonly check?: HealthCheck;
  /** Its artifacts are only those that the ring before runs, verified: the promotion guard is data. */
  readonly release: Release;
  readonly sources: readonly InstallSource[];
  /** The config lets this app take the place of a package of its name that is not pipit's. Without it a host refuses. */
  readonly takeOver?: true;
  readonly options: Options;
}

export interface ObserveRequest<Options> {
  readonly ring: RingRef;
  readonly packages: readonly PackageName[];
  readonly hosts: readonly Host[];
  readonly check?: HealthCheck;
  readonly options: Options;
}

/**
 * Brings one batch of hosts to a release. An install once started outlives the connection and pipit.
 * On each host: lock, refuse an older sequence, stamp the intent, compare the downloaded file's digest with the release's,
 * install exactly that file with the native package manager, restart, check, write the receipt.
 */
export interface Deployer<Options> extends Task<RolloutRequest<Options>, readonly HostReport[], 'shell' | 'connect'> {
  readonly formats: readonly Format[];
  /** What the hosts run now, from their own package database and receipts; one report a host, in the request's order. */
  observe(request: ObserveRequest<Options>, op: Op<'shell' | 'connect'>): Promise<readonly HostReport[]>;
}
