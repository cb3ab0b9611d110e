/**
 * The rows of pipit's own tables: what is intended, and what was found. Times are ISO 8601 in UTC. Optional values are `null`, as in the database.
 * A drawing of the tables and of a run's states is docs/run-states.md.
 */
import type {
  Advertisement,
  AppName,
  Artifact,
  ArtifactId,
  Commit,
  CommitSha,
  HealthCheck,
  HostReport,
  Inbound,
  Json,
  PackageMetadata,
  PackageVersion,
  RefName,
  RepositoryRef,
  RingName,
  RoleName,
} from '@pipit/core';
import type { TokenPreset } from '../authorize.js';
import type { EventId, OperationId, RolloutId, RunId } from './ids.js';

/** Something that the outside reported, durable before it was answered. */
export interface EventRow {
  readonly id: EventId;
  readonly instance: string;
  /** The sender's own key: a second row of the same instance and key is not accepted. */
  readonly key: string;
  /** Events of one lane are handled one after another, in the order in which they were accepted; no lane waits for another. */
  readonly lane: string;
  /** Whether a poll found it. A poll sees where a ref is, and not each way that it went. */
  readonly polled: boolean;
  readonly type: Inbound['type'];
  readonly body: Inbound;
  readonly receivedAt: string;
  readonly state: 'received' | 'handled';
  /** What became of it, in one sentence. */
  readonly outcome: string | null;
  readonly runId: RunId | null;
}

export type RunKind = 'delivery' | 'promotion' | 'rollback';
export type RunOutcome = 'succeeded' | 'failed' | 'rolled-back' | 'superseded' | 'cancelled' | 'stale';
/** `outside`: for a part outside pipit, or pipit's own machine, to come back after a fault. */
export type WaitKind = 'rollout-lock' | 'bake' | 'promotion' | 'outside';

export interface ErrorRecord {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** A ring's part of the config, as it was when the run began: each decision takes the stricter of then and now. */
export interface RingPolicy {
  readonly name: RingName;
  readonly bakeMs: number;
  /** A number of hosts, or a share from 0 to 1; null: at least one, and half. */
  readonly minHealthy: { readonly hosts: number } | { readonly share: number } | null;
  /** How the ring is entered from the one before. */
  readonly promotion: 'manual' | 'automatic';
  readonly onFailure: 'rollback' | 'stop';
}

/** One pass of a pipeline for one commit. */
export interface RunRow {
  readonly id: RunId;
  readonly app: AppName;
  readonly role: RoleName;
  /** Grows by one with each run of the app; order among an app's runs is this. */
  readonly number: number;
  readonly pipeline: string;
  readonly kind: RunKind;
  /** Of a delivery: the move of the ref that it delivers, see `pushKeyOf`; at most one run has it. Of other kinds: the run's id. */
  readonly pushKey: string;
  readonly repository: RepositoryRef;
  readonly ref: RefName;
  readonly sha: CommitSha;
  /** Known once pipit has fetched the commit. */
  readonly committedAt: string | null;
  readonly author: string | null;
  readonly eventId: EventId | null;
  /** Whoever asked for a promotion or rollback run. */
  readonly actor: string | null;
  readonly version: PackageVersion | null;
  readonly rings: readonly RingPolicy[];
  readonly health: HealthCheck | null;
  readonly metadata: PackageMetadata | null;
  /** For kinds promotion and rollback. */
  readonly targetRing: RingName | null;
  readonly state: 'active' | 'waiting' | 'ended';
  /** The stage it is at, or ended at. */
  readonly stage: string;
  readonly completedStages: readonly string[];
  readonly waitingFor: WaitKind | null;
  /** When a wait ends by itself: an estimate, because what counts is `waitedMs`. */
  readonly dueAt: string | null;
  /** For how long the stage that it is at has been watched, or has waited for the outside. Counted by a clock that only grows, and only while pipit is up. */
  readonly waitedMs: number;
  /** The wait ends by itself when `waitedMs` reaches this. */
  readonly dueAfterMs: number | null;
  readonly outcome: RunOutcome | null;
  /** Why it waits or how it ended, in one sentence. */
  readonly reason: string | null;
  /** The failure that a rollback under way answers. */
  readonly failure: ErrorRecord | null;
  /** From 1. Raised when a person retries the run. */
  readonly attempt: number;
  readonly cancelRequestedBy: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly endedAt: string | null;
}

export type OperationType = 'build' | 'package' | 'publish' | 'rollout' | 'watch';
/** `waiting`: failed by something that may pass; it is executed again, as the next round. */
export type OperationState = 'pending' | 'running' | 'waiting' | 'succeeded' | 'failed' | 'cancelled';

/** One durable piece of work that survives a restart. */
export interface OperationRow {
  readonly id: OperationId;
  readonly runId: RunId;
  readonly stage: string;
  readonly type: OperationType;
  /** Of the code that runs it; that code stays until no unfinished operation has the version. */
  readonly version: number;
  readonly state: OperationState;
  readonly input: Json;
  readonly result: Json;
  readonly error: ErrorRecord | null;
  /** Raised when a person retries the run. Keys of effects hold it. */
  readonly attempt: number;
  /** From 1. Raised each time that it is executed again after a fault that may pass; keys of effects stay as they are. */
  readonly round: number;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
}

export interface StepRow {
  readonly operationId: OperationId;
  readonly name: string;
  /** The order of the steps within their operation, from 1. */
  readonly position: number;
  readonly state: 'running' | 'succeeded' | 'failed' | 'cancelled';
  readonly attempt: number;
  readonly progress: string | null;
  readonly error: ErrorRecord | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
}

export interface ReleaseRow {
  readonly app: AppName;
  readonly version: PackageVersion;
  readonly commit: Commit;
  readonly artifacts: readonly Artifact[];
  readonly runId: RunId;
  readonly metadata: PackageMetadata;
  readonly health: HealthCheck | null;
  readonly createdAt: string;
}

export type RolloutPurpose = 'forward' | 'rollback';
export type RolloutState = 'planned' | 'advertised' | 'installing' | 'verified' | 'failed';

/** Bringing one ring's hosts to a release. Its sequence is stored before it is advertised. */
export interface RolloutRow {
  readonly id: RolloutId;
  readonly runId: RunId;
  readonly operationId: OperationId;
  readonly app: AppName;
  readonly role: RoleName;
  readonly ring: RingName;
  readonly sequence: number;
  readonly version: PackageVersion;
  readonly artifacts: readonly ArtifactId[];
  readonly purpose: RolloutPurpose;
  readonly state: RolloutState;
  readonly reason: string | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
}

export type RolloutHostState = 'pending' | 'installed' | 'failed' | 'unreachable' | 'left';

export interface RolloutHostRow {
  readonly rolloutId: RolloutId;
  readonly hostId: string;
  readonly address: string;
  readonly architecture: string | null;
  /** `left`: there is no artifact for its architecture. */
  readonly state: RolloutHostState;
  readonly report: HostReport | null;
  readonly updatedAt: string;
}

/** Where a ring stands. */
export interface RingRow {
  readonly app: AppName;
  readonly role: RoleName;
  readonly ring: RingName;
  /** The greatest that was ever planned here. */
  readonly sequence: number;
  readonly rolloutId: RolloutId;
  readonly version: PackageVersion;
  readonly state: 'rolling-out' | 'verified' | 'failed';
  readonly updatedAt: string;
}

export interface AdvertisementRow {
  readonly app: AppName;
  readonly role: RoleName;
  readonly ring: RingName;
  readonly sequence: number;
  readonly document: Advertisement;
  readonly writtenAt: string;
}

/** A promotion is a row that names ring and sequence: it cannot reach a wait that is not its own. */
export interface PromotionRow {
  readonly runId: RunId;
  readonly ring: RingName;
  /** Of the rollout in the ring before that the person saw. */
  readonly sequence: number;
  readonly version: PackageVersion;
  readonly actor: string;
  readonly reason: string | null;
  readonly createdAt: string;
}

/** Names owner, reason and age. A rollout's own never expires under it. */
export interface LockRow {
  /** `rollout:<app>:<role>` while hosts are brought to a release, `ring:<app>:<role>:<ring>` until its bake is over. */
  readonly name: string;
  readonly runId: RunId;
  readonly reason: string;
  readonly since: string;
}

/** What must be cleaned up whatever happens; a janitor works through it. */
export interface CleanupRow {
  readonly id: string;
  /** `folder`: of pipit's own machine. `remote-folder`: of another host. */
  readonly kind: 'folder' | 'remote-folder';
  /** A folder's path; of a remote one, transport, host and path as JSON. */
  readonly target: string;
  /** Removed once this operation has ended (or at once, when its code is done with it). */
  readonly operationId: OperationId;
  readonly createdAt: string;
  readonly lastError: string | null;
}

/** What the notifiers of a run's pipeline were told of it. Their keys are instance and place in the config. */
export interface NoticeRow {
  readonly runId: RunId;
  /** Raised by each change of the run. */
  readonly version: number;
  /** When it is to be told (again); null: all were told. */
  readonly dueAt: string | null;
  /** What each notifier returned, to update in place. */
  readonly handles: Readonly<Record<string, string>>;
  /** The version that each was told last. */
  readonly told: Readonly<Record<string, number>>;
  readonly failures: number;
  readonly lastError: string | null;
}

/** An app is bound to the provider's repository id, one pipeline and one ref when it is first seen. */
export interface AppRow {
  readonly app: AppName;
  readonly repositoryId: string;
  readonly repositoryName: string;
  readonly pipeline: string;
  readonly ref: RefName;
  readonly createdAt: string;
}

/** The commit that a ref was last reported at. */
export interface HeadRow {
  readonly repositoryId: string;
  readonly ref: RefName;
  /** null: the ref was deleted. */
  readonly sha: CommitSha | null;
  /** How often the ref has moved, as far as pipit knows: the number of its last move. The same move at a later time has another number. */
  readonly moves: number;
  readonly updatedAt: string;
}

/** How far a trigger's poll got. */
export interface CursorRow {
  readonly instance: string;
  readonly cursor: string;
}

/** Append-only and hash-chained: who, what, from where, why. */
export interface AuditRow {
  /** From 1, without gaps. */
  readonly sequence: number;
  readonly at: string;
  readonly actor: string;
  /** Where the act came from: an address, `cli`, `pipit`. */
  readonly origin: string;
  readonly action: string;
  readonly subject: string;
  readonly detail: Json;
  readonly previousHash: string;
  readonly hash: string;
}

/** A signed statement that the audit trail ended with this line then. The heads are chained too. */
export interface AuditHeadRow {
  /** Of the audit line. */
  readonly sequence: number;
  /** Of the audit line. */
  readonly hash: string;
  readonly at: string;
  /** Of the key, which is outside of the database; announced in the trail itself. */
  readonly keyId: string;
  /** The hash of the head before; 64 zeros for the first. */
  readonly previousHead: string;
  /** ed25519, base64. */
  readonly signature: string;
}

/** A token of the API. The token itself is known to its holder alone. */
export interface TokenRow {
  /** Stands in the token too, so that it is found by its key. */
  readonly id: string;
  /** Given once, also when the token is revoked: the audit trail names a token by it. */
  readonly name: string;
  /** SHA-256 of the whole token, in hexadecimal characters. */
  readonly hash: string;
  readonly preset: TokenPreset;
  readonly createdAt: string;
  readonly createdBy: string;
  /** null: never. */
  readonly expiresAt: string | null;
  /** To the hour. */
  readonly lastUsedAt: string | null;
  readonly revokedAt: string | null;
  readonly revokedBy: string | null;
}

/** Single values of the installation: `quarantine`. */
export interface SettingRow {
  readonly name: string;
  readonly value: Json;
}
