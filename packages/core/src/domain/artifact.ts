import type { AppName, Digest, PackageName, PackageVersion } from '../identifiers.js';
import type { Commit } from './change-event.js';
import type { Format } from './install-source.js';

/** Measured by pipit when the bytes went into its file store; never anybody's claim. */
export interface StoredFile {
  readonly sha256: Digest;
  /** Bytes. */
  readonly size: number;
}

/** What names a package's bytes. */
export interface ArtifactId {
  readonly format: Format;
  readonly name: PackageName;
  readonly version: PackageVersion;
  /** In the format's own words: `amd64`, `all`; `x86_64`, `noarch`. */
  readonly architecture: string;
  /** What a host can check: sha256 of a deb or rpm, the manifest digest of an image. */
  readonly digest: Digest;
}

export interface Artifact extends ArtifactId {
  /** The bytes in pipit's file store, or where an image lives that never passes through it. */
  readonly content: StoredFile | { readonly reference: string };
}

/** One version of an app from one commit, with all its artifacts: at most one a format and architecture. */
export interface Release {
  readonly app: AppName;
  readonly version: PackageVersion;
  readonly commit: Commit;
  readonly artifacts: readonly Artifact[];
}
