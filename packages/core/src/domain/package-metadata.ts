import type { UnitName } from '../identifiers.js';

/** What a package says of itself, from `pipit.yaml` and the conventions. */
export interface PackageMetadata {
  readonly description: string;
  /** In the package manager's own words, for example `libc6 (>= 2.36)`. */
  readonly depends: readonly string[];
  /** `all`, or the format's names. */
  readonly architectures: readonly string[];
  /** Absolute; `/opt/<app>` unless configured. */
  readonly prefix: string;
  /** Absolute paths that the package manager keeps when the administrator changed them. */
  readonly configFiles: readonly string[];
  readonly services: readonly UnitName[];
}
