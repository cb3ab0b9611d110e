import type {
  Advertiser,
  AppName,
  Ci,
  Commit,
  CommitSha,
  Deployer,
  Discovery,
  HealthCheck,
  HostAddress,
  Notifier,
  Op,
  PackageMetadata,
  Packager,
  RefName,
  Repository,
  RepositoryRef,
  RoleName,
  Services,
} from '@pipit/core';
import type { OperationId } from '../records/ids.js';
import type { CleanupRow, RingPolicy } from '../records/rows.js';

/** Another machine than pipit's own for a part to work on, as the config's `on:` says. */
export type WorkPlace =
  | { readonly host: HostAddress }
  /** An available host of this service, found anew for each effect (a task keeps its host). */
  | { readonly service: string; readonly discovery: Part<Discovery<unknown>> };

/** One slot of a pipeline: a plugin instance's kind, with the options that this pipeline gives it. */
export interface Part<Subject> {
  readonly instance: string;
  /** Absent: on pipit's own machine. */
  readonly on?: WorkPlace;
  /** The instance whose transport reaches other hosts; absent when the config has none. */
  readonly transport?: string;
  readonly subject: Subject;
  /** Validated; the plugin's own type, which the pipeline hands back unseen. */
  readonly options: unknown;
}

/** A pipeline of the config, as the pipeline's code sees it. */
export interface PipelineDefinition {
  readonly name: string;
  readonly rings: readonly RingPolicy[];
  /** For how long what may pass is waited for before a run fails. */
  readonly patienceMs: number;
  readonly ci: Part<Ci<unknown>>;
  readonly packager: Part<Packager<unknown>>;
  readonly repository: Part<Repository<unknown>>;
  readonly discovery: Part<Discovery<unknown>>;
  readonly advertiser: Part<Advertiser<unknown>>;
  readonly deployer: Part<Deployer<unknown>>;
  /** Told of each change of a run; in the config's order. */
  readonly notifiers: readonly Part<Notifier<unknown>>[];
  /** The config's word for this app, else the repository's own, else the pipeline's. */
  roleOf(app: AppName, repositoryRole?: RoleName): RoleName;
  /** From the config; overrides the repository's own. */
  healthOf(app: AppName): HealthCheck | undefined;
  /** Whether the config lets the app take the place of a package that is not pipit's. */
  mayTakeOver(app: AppName): boolean;
}

export interface ChangeToMatch {
  readonly instance: string;
  readonly repository: RepositoryRef;
  readonly ref: RefName;
  readonly sha: CommitSha;
  readonly before: CommitSha | undefined;
  readonly author: string | undefined;
}

/** What an app was bound to, or a run was started by, when that happened. */
export interface PipelineBinding {
  readonly pipeline: string;
  readonly repositoryName: string;
  readonly ref: RefName;
}

/** Today's config. */
export interface PipelineCatalog {
  /**
   * The pipeline of that name. Where the config has none of that name any more, it was renamed or replaced: then the pipeline that takes the
   * repository and ref now. Undefined when there is none either.
   */
  of(binding: PipelineBinding): PipelineDefinition | undefined;
  /** Whether the pipeline of that name is the one that takes this ref of the repository, its `paths` and `when` aside. */
  takes(pipeline: string, repositoryName: string, ref: RefName): boolean;
  /** The pipeline whose repositories, trigger and rule let this change in; else why none does. */
  match(change: ChangeToMatch, signal: AbortSignal): Promise<{ readonly pipeline: PipelineDefinition } | { readonly reason: string }>;
}

/** What a repository's `pipit.yaml` and conventions say of a commit. */
export interface RepositoryFacts {
  readonly metadata: PackageMetadata;
  readonly baseVersion: string | undefined;
  readonly role: RoleName | undefined;
  readonly health: HealthCheck | undefined;
}

/** What a ref names. */
export interface Head {
  readonly commit: CommitSha;
  /** The object that the ref itself holds, and that a push tells of: an annotated tag's own object, else the commit. */
  readonly object: CommitSha;
}

/** Pipit's own reading of git repositories. Errors are PluginErrors: `retry` when unreachable, `stop` when refused. */
export interface Sources {
  /** What the ref names now; undefined when there is no such ref. */
  readHead(repository: RepositoryRef, ref: RefName, signal: AbortSignal): Promise<Head | undefined>;
  /** Fetches the exact commit. Throws `COMMIT_NOT_FOUND` (stop) when the repository does not have it. */
  fetchCommit(repository: RepositoryRef, ref: RefName, sha: CommitSha, signal: AbortSignal): Promise<Commit>;
  readFacts(commit: Commit, app: AppName, signal: AbortSignal): Promise<RepositoryFacts>;
}

/** What an effect needs to know of the part that has it. */
export type WorkingPart = Pick<Part<unknown>, 'instance' | 'on' | 'transport'>;

export interface EffectRequest {
  readonly part: WorkingPart;
  readonly operationId: OperationId;
  readonly step: string;
  /** `<operation>:<step>:<try>`. */
  readonly key: string;
  readonly attempt: number;
  readonly commit: Commit | undefined;
  /** `attempt`: emptied before and removed after this call. `task`: kept until the operation's end is recorded. `none`: the kind's method gets no shell. */
  readonly folder: 'attempt' | 'task' | 'none';
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  readonly onReport: (message: string) => void;
  /** Output of commands, for the step's log. */
  readonly onOutput: (text: string) => void;
}

export interface LogInPieces {
  /** What may be shown so far; what may be the beginning of a secret is held back. */
  write(piece: string): string;
  /** The rest, at the end. */
  flush(): string;
}

/** Makes the context of an effect, with its services, and cleans up behind it. */
export interface Effects {
  run<T>(request: EffectRequest, work: (op: Op<keyof Services>) => Promise<T>): Promise<T>;
  /** For a log that comes in pieces: hides what may not be shown, also where it is split over pieces. */
  openLog(): LogInPieces;
  /** Removes what a row of the clean-up table names; removing what is gone succeeds. */
  removeFolder(row: Pick<CleanupRow, 'kind' | 'target'>): Promise<void>;
}
