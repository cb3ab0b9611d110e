import type { Op } from '../context/operation-call.js';
import type { Artifact, ArtifactId } from '../domain/artifact.js';
import type { RingRef } from '../domain/host.js';
import type { Format, InstallSource } from '../domain/install-source.js';
import type { PackageName, PackageVersion } from '../identifiers.js';

/**
 * Keeps packages and shows them to rings. Awaited; reconciled by `find`.
 * Pipit runs one publish or offer at a time for an instance, over all replicas.
 */
export interface Repository<Options> {
  readonly formats: readonly Format[];
  /**
   * Every published artifact of this name and version, with the digest that hosts read (Packages, manifest). Pipit compares the digests:
   * the same name, version and architecture with other bytes stops the run.
   */
  find(
    request: { readonly name: PackageName; readonly version: PackageVersion; readonly options: Options },
    op: Op<'shell'>,
  ): Promise<readonly ArtifactId[]>;
  /** Adds them where no ring sees them. Refuses other bytes under a known name, version and architecture (`REPOSITORY_DIGEST_CONFLICT`, stop). */
  publish(request: { readonly artifacts: readonly Artifact[]; readonly options: Options }, op: Op<'shell' | 'files'>): Promise<void>;
  /**
   * One a format, for the hosts of a ring. It may hold a credential; pipit never stores it. The shell is where the repository works, so that
   * its public key can be read there.
   */
  installSources(request: { readonly ring: RingRef; readonly options: Options }, op: Op<'shell'>): Promise<readonly InstallSource[]>;
  /** Makes these the only version of the package that the ring's hosts see. Repeating it is harmless. */
  offer?(
    request: { readonly ring: RingRef; readonly artifacts: readonly ArtifactId[]; readonly options: Options },
    op: Op<'shell'>,
  ): Promise<void>;
  /** Never called for what a ring is offered. */
  remove?(request: { readonly artifacts: readonly ArtifactId[]; readonly options: Options }, op: Op<'shell'>): Promise<void>;
}
