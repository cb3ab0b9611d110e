/** A suite that aptly publishes. */
export interface Publication {
  readonly distribution: string;
}

/** How a suite is published the first time; later updates keep it. */
export interface NewPublication {
  readonly distribution: string;
  readonly architectures: readonly string[];
}

/** What pipit asks of aptly, over its command line or its API. Packages are named as aptly does: `web_1.0_all`. */
export interface Aptly {
  /** Makes the local repository when it is not there. */
  ensureRepo(): Promise<void>;
  /** Adds a package file that lies at this absolute path of the shell. One that is there with the same bytes does no harm. */
  addPackage(path: string): Promise<void>;
  /** Those that are not there do no harm. */
  removePackages(names: readonly string[]): Promise<void>;
  listPublications(): Promise<readonly Publication[]>;
  publishRepo(publication: NewPublication): Promise<void>;
  updateRepo(distribution: string): Promise<void>;
  publishSnapshot(publication: NewPublication & { readonly snapshot: string }): Promise<void>;
  /** Atomic for hosts: the InRelease file changes in one step, and older indexes stay reachable by their hash. */
  switchSnapshot(distribution: string, snapshot: string): Promise<void>;
  dropPublication(distribution: string): Promise<void>;
  listSnapshots(): Promise<readonly string[]>;
  /** A snapshot of just these packages of the local repository. */
  createSnapshot(snapshot: string, names: readonly string[]): Promise<void>;
  dropSnapshot(snapshot: string): Promise<void>;
  /** Removes package files that nothing names any more. */
  cleanUp(): Promise<void>;
}

/** aptly's word for one package. */
export const packageRef = ({
  name,
  version,
  architecture,
}: {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
}): string => `${name}_${version}_${architecture}`;
