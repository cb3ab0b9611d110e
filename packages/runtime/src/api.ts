import type { HealthFinding, HostReport, Labels } from '@pipit/core';
import type {
  AppRow,
  AuditHeadRow,
  AuditRow,
  Cancelled,
  ErrorRecord,
  EventRow,
  LogPiece,
  OperationRow,
  Promoted,
  ReleaseRow,
  Retried,
  RolledBack,
  RolloutHostRow,
  RolloutRow,
  RunRow,
  Stage,
  StepRow,
  TokenPreset,
  TokenRow,
} from '@pipit/pipeline';

/** Rows of a list, newest first; `next` is what to give as `before` for the following page, null at the end. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly next: string | null;
}

export interface PageQuery {
  /** 1 to 200; default 50. */
  readonly limit?: number;
  readonly before?: string;
}

/** Where one ring of an app stands. */
export interface RingView {
  readonly ring: string;
  /** null: it has never had a release. */
  readonly version: string | null;
  readonly commit: string | null;
  readonly state: 'empty' | 'rolling-out' | 'verified' | 'failed';
  readonly sequence: number;
  /** Since when it has this version, ISO 8601. */
  readonly since: string | null;
  /** Runs whose release this ring has not got yet, counted from the ring before. */
  readonly behindBy: number;
}

export interface AppView extends AppRow {
  readonly role: string;
  readonly rings: readonly RingView[];
  readonly latestRun: RunRow | null;
}

export interface OperationView extends OperationRow {
  readonly steps: readonly StepRow[];
}

export interface RolloutView extends RolloutRow {
  readonly hosts: readonly RolloutHostRow[];
}

export interface StageView {
  readonly name: string;
  readonly kind: Stage['kind'];
  readonly state: 'done' | 'running' | 'waiting' | 'failed' | 'skipped' | 'pending';
}

/** Everything about one run but its logs. */
export interface RunDetail {
  readonly run: RunRow;
  readonly stages: readonly StageView[];
  readonly operations: readonly OperationView[];
  readonly rollouts: readonly RolloutView[];
}

export interface LogQuery {
  readonly runId: string;
  /** Default: all operations of the run, in order. */
  readonly operationId?: string;
  readonly step?: string;
  /** Bytes of the tail of each operation; default 64 KiB. */
  readonly maxBytes?: number;
}

export interface LogView {
  readonly operations: readonly {
    readonly operationId: string;
    readonly stage: string;
    readonly truncated: boolean;
    readonly pieces: readonly (LogPiece & { readonly step: string })[];
  }[];
}

/** A host as it is now: what discovery says of it, what is advertised for its ring, what it really has. */
export interface HostView {
  readonly ring: string;
  readonly hostId: string;
  readonly address: string;
  readonly available: boolean;
  readonly reason: string | null;
  readonly attributes: Labels;
  readonly advertised: { readonly version: string; readonly sequence: number } | null;
  readonly report: HostReport | null;
  /** The installed version is the advertised one. */
  readonly converged: boolean;
}

export interface Finding extends HealthFinding {
  /** The plugin instance, or `pipit`. */
  readonly instance: string;
}

/** What a commit would do: nothing is changed by asking. */
export interface PlanView {
  readonly app: string;
  readonly pipeline: string;
  readonly commit: string;
  readonly version: string;
  readonly published: boolean;
  readonly stages: readonly { readonly name: string; readonly what: string }[];
  readonly rings: readonly {
    readonly ring: string;
    readonly runs: string | null;
    readonly hosts: readonly { readonly id: string; readonly available: boolean }[];
  }[];
  readonly problems: readonly ErrorRecord[];
}

/** Something changed: look at the run again. */
export interface Change {
  /** Grows by one with each change of this process; for Last-Event-ID. */
  readonly id: number;
  readonly runId: string;
}

export interface PromoteCommand {
  readonly app: string;
  readonly role?: string;
  readonly ring?: string;
  readonly ifCanary?: string;
  readonly reason?: string;
}

export interface RollbackCommand {
  readonly app: string;
  readonly role?: string;
  readonly ring?: string;
  readonly reason?: string;
}

/** A token of the API, without what proves it. */
export type TokenView = Omit<TokenRow, 'hash'>;

export interface CreatedToken extends TokenView {
  /** Shown this once. */
  readonly token: string;
}

export interface CreateTokenCommand {
  /** Lower-case letters, digits, `.`, `_` and `-`; at most 60 characters. */
  readonly name: string;
  readonly preset: TokenPreset;
  /** Milliseconds from now; null: it does not expire. */
  readonly expiresInMs: number | null;
}

/**
 * What can be asked of a pipit, in process or over HTTP: one interface, so that a command does the same either way. Every answer is plain JSON.
 * Errors are PluginErrors with a code; one about something unknown ends in `_UNKNOWN`. Each call is behind `authorize`: `RIGHT_MISSING`.
 */
export interface Api {
  listApps(): Promise<readonly AppView[]>;
  listRuns(query?: PageQuery & { readonly app?: string; readonly state?: RunRow['state'] }): Promise<Page<RunRow>>;
  showRun(runId: string): Promise<RunDetail>;
  readLog(query: LogQuery): Promise<LogView>;
  listReleases(query: PageQuery & { readonly app: string }): Promise<Page<ReleaseRow>>;
  /** Asks the hosts themselves. */
  listHosts(query: { readonly app: string; readonly role?: string }): Promise<readonly HostView[]>;
  showEvent(eventId: string): Promise<EventRow>;
  listEvents(query?: PageQuery): Promise<Page<EventRow>>;
  listAudit(query?: PageQuery): Promise<Page<AuditRow>>;
  /** Signed statements of the trail's last line, newest first. */
  listAuditHeads(query?: PageQuery): Promise<Page<AuditHeadRow>>;
  plan(query: { readonly repository: string; readonly ref: string; readonly commit?: string }): Promise<PlanView>;
  doctor(): Promise<readonly Finding[]>;
  promote(command: PromoteCommand): Promise<Promoted>;
  rollback(command: RollbackCommand): Promise<RolledBack>;
  cancel(command: { readonly runId: string; readonly reason?: string }): Promise<Cancelled>;
  /** Continues a failed run at the stage that failed. */
  retry(command: { readonly runId: string; readonly reason?: string }): Promise<Retried>;
  /** Lifts a quarantine: takes what the outside advertises as the database's sequences. Answers what it took. */
  reconcile(command: {
    readonly reason: string;
  }): Promise<{ readonly rings: readonly { readonly ring: string; readonly sequence: number }[] }>;
  /** Oldest first; revoked and expired ones too. */
  listTokens(): Promise<readonly TokenView[]>;
  createToken(command: CreateTokenCommand): Promise<CreatedToken>;
  revokeToken(command: { readonly name: string }): Promise<TokenView>;
  /** Changes from now on (or after an id), until the signal is aborted. */
  follow(options: { readonly after?: number; readonly runId?: string; readonly signal: AbortSignal }): AsyncIterable<Change>;
}
