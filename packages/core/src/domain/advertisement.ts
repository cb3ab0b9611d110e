import type { PackageVersion } from '../identifiers.js';
import type { ArtifactId } from './artifact.js';

/** What discovery says a ring should run: the document beside the plain version string. */
export interface Advertisement {
  readonly version: PackageVersion;
  /** Grows with every rollout of the ring; an older rollout never overwrites a newer one. */
  readonly sequence: number;
  readonly artifacts: readonly ArtifactId[];
}
