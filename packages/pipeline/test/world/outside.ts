import {
  type Advertisement,
  type ArtifactId,
  type CommitSha,
  type Notice,
  type PackageRequest,
  parseCommitSha,
  type Receipt,
  type RepositoryRef,
} from '@pipit/core';

/** What CI will make of a commit, and what its release does on hosts. */
export interface CommitPlan {
  readonly ci?: 'passes' | 'fails' | 'cancelled' | 'passes another commit' | 'is lost';
  readonly packaging?: 'works' | 'fails' | 'makes another version' | 'lies about the digest' | 'makes nothing';
  /** How its release behaves once it is installed. */
  readonly release?: 'healthy' | 'unhealthy' | 'fails to install';
  readonly architectures?: readonly string[];
  /** How often its build is asked for before it has ended; default 2. */
  readonly inspections?: number;
}

export interface SimulatedCommit {
  readonly sha: CommitSha;
  readonly committedAt: string;
  readonly plan: CommitPlan;
}

export interface SimulatedBuild {
  readonly key: string;
  readonly sha: CommitSha;
  cancelled: boolean;
  inspections: number;
}

/** Whether a host has a fault: with every release, or with those whose version holds this text. */
export type HostFault = boolean | string;

export interface SimulatedHost {
  readonly id: string;
  /** Rings whose tag it bears. */
  rings: string[];
  architecture: string | undefined;
  reachable: boolean;
  busy: boolean;
  /** Its health check fails. */
  sick: HostFault;
  /** The bytes it gets are not those of the repository. */
  wrongBytes: HostFault;
  /** Its installs fail. */
  broken: HostFault;
  installed: Receipt | undefined;
  /** The version of a package of the app's name that is not pipit's. */
  foreign: string | undefined;
  /** Every install that changed it, oldest first. */
  readonly installs: Receipt[];
}

export interface SimulatedBatch {
  readonly key: string;
  readonly hostIds: readonly string[];
}

/**
 * - `retry`, `stop`: the call throws so before it did anything.
 * - `lost before`: it throws an unknown error, and did nothing. `lost after`: it throws an unknown error after its effect.
 */
export type Fault = 'retry' | 'stop' | 'lost before' | 'lost after';

/** Everything outside pipit: it outlives every crash. Plain data, for a test to look at and to change. */
export interface Outside {
  /** Objects of annotated tags, by their ref; a ref that is not here holds its commit itself. */
  readonly tags: Map<string, CommitSha>;
  readonly repositories: Map<string, { refs: Map<string, CommitSha>; commits: Map<CommitSha, SimulatedCommit> }>;
  readonly builds: SimulatedBuild[];
  /** Versions in the order in which the packager was run for them. */
  readonly packaged: string[];
  /** What the packager was given, oldest first. */
  readonly packageRequests: PackageRequest<unknown>[];
  readonly published: ArtifactId[];
  /** Each effective publication, oldest first. */
  readonly publications: ArtifactId[];
  /** What each ring's view shows. */
  readonly views: Map<string, readonly ArtifactId[]>;
  readonly advertised: Map<string, { document: Advertisement; revision: number }>;
  /** Each effective write, oldest first. */
  readonly advertisements: { readonly ring: string; readonly document: Advertisement }[];
  readonly hosts: Map<string, SimulatedHost>;
  readonly batches: SimulatedBatch[];
  /** What people were told, oldest first. */
  readonly notices: { readonly notice: Notice; readonly previous: string | undefined }[];
  /** Temporary folders that exist now. */
  readonly folders: Set<string>;
  /** Folders that cannot be removed. */
  readonly stuckFolders: Set<string>;
  /** How often each call was made, for example `ci.start`. */
  readonly calls: Map<string, number>;
  /** Faults to come, by call; one is used up by each call. */
  readonly faults: Map<string, Fault[]>;
  /** Calls that do not answer, by name: until that moment of the world's time, and how. `*` for every call. */
  readonly outages: Map<string, { readonly untilMs: number; readonly how: 'retry' | 'disk full' | 'lost after' }>;
  /** The world's time. */
  nowMs: () => number;
  /** Versions that the release of a commit got; commits by version. */
  readonly plans: Map<string, CommitPlan>;
  /** How many hosts a batch reaches by one inspect. */
  hostsAnInspect: number;
}

export const createOutside = (): Outside => ({
  tags: new Map(),
  repositories: new Map(),
  builds: [],
  packaged: [],
  packageRequests: [],
  published: [],
  publications: [],
  views: new Map(),
  advertised: new Map(),
  advertisements: [],
  hosts: new Map(),
  batches: [],
  notices: [],
  folders: new Set(),
  stuckFolders: new Set(),
  calls: new Map(),
  faults: new Map(),
  outages: new Map(),
  nowMs: () => 0,
  plans: new Map(),
  hostsAnInspect: 1_000_000,
});

export const addHost = (
  outside: Outside,
  id: string,
  rings: readonly string[],
  architecture: string | undefined = 'amd64',
): SimulatedHost => {
  const host: SimulatedHost = {
    id,
    rings: [...rings],
    architecture,
    reachable: true,
    busy: false,
    sick: false,
    wrongBytes: false,
    broken: false,
    installed: undefined,
    foreign: undefined,
    installs: [],
  };
  outside.hosts.set(id, host);
  return host;
};

/** A commit that a repository has; `number` makes its sha, for example 1 gives `0001…`. */
export const addCommit = (outside: Outside, repository: RepositoryRef, number: number, plan: CommitPlan = {}): SimulatedCommit => {
  const sha = parseCommitSha(number.toString(16).padStart(4, '0').padEnd(40, 'a'));
  const commit = { sha, committedAt: new Date(Date.UTC(2026, 0, 1, 0, 0, number)).toISOString(), plan };
  const known = outside.repositories.get(repository.id) ?? { refs: new Map(), commits: new Map() };
  known.commits.set(sha, commit);
  outside.repositories.set(repository.id, known);
  return commit;
};

export const failCalls = (outside: Outside, call: string, ...faults: readonly Fault[]): void => {
  outside.faults.set(call, [...(outside.faults.get(call) ?? []), ...faults]);
};
