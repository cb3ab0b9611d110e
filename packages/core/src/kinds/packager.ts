import type { Op } from '../context/operation-call.js';
import type { Artifact } from '../domain/artifact.js';
import type { Format } from '../domain/install-source.js';
import type { PackageMetadata } from '../domain/package-metadata.js';
import type { AppName, PackageVersion } from '../identifiers.js';
import type { BuildOutput } from './ci.js';

export interface PackageRequest<Options> {
  /** The package's name too: `parsePackageName(request.app)`. */
  readonly app: AppName;
  readonly version: PackageVersion;
  readonly metadata: PackageMetadata;
  /** What CI built, to be laid over the package's root; empty when CI collects nothing. */
  readonly outputs: readonly BuildOutput[];
  readonly options: Options;
}

/** Makes packages of the exact commit. Awaited: it has no effect outside its folder, so a restart repeats it. */
export interface Packager<Options> {
  readonly formats: readonly Format[];
  /** One artifact a format and architecture. The same request gives the same bytes: times come from the commit. */
  package(request: PackageRequest<Options>, op: Op<'shell' | 'source' | 'files'>): Promise<readonly Artifact[]>;
}
