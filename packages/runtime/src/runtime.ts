import type { Config } from '@pipit/config';
import type { HookRequest, PluginError, RefName, RepositoryRef } from '@pipit/core';
import type { Actor, Preset } from '@pipit/pipeline';
import type { Api } from './api.js';
import type { DatabaseAbsence } from './database-watch.js';

/** What a webhook is answered. Only `accepted` and `pinged` are a success. */
export type HookAnswer =
  | {
      readonly type: 'accepted';
      readonly eventIds: readonly string[];
      readonly repeated: boolean;
      readonly answer?: { readonly status: number; readonly body: string };
    }
  | { readonly type: 'pinged'; readonly answer?: { readonly status: number; readonly body: string } }
  | { readonly type: 'refused'; readonly status: number; readonly code: string; readonly message: string };

export interface SubmitRequest {
  readonly repository: RepositoryRef;
  readonly ref: RefName;
  /** A full commit id, or null for a deleted ref. */
  readonly sha: string | null;
  readonly before?: string;
  readonly author?: string;
  /** At most one event is accepted with it; made from the push when absent. */
  readonly key?: string;
}

export interface Health {
  readonly ready: boolean;
  readonly database: boolean;
  readonly stopping: boolean;
  /** Why nothing is done until a person reconciles; null: no quarantine. */
  readonly quarantine: string | null;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail?: string }[];
  /** Present while the database does not answer. */
  readonly databaseAway?: DatabaseAbsence;
}

/** Whom a token stands for. Why it is not taken is for the audit trail, and not for who sent it. */
export type CheckedToken =
  | { readonly valid: true; readonly actor: string; readonly preset: Preset }
  | { readonly valid: false; readonly why: 'unknown' | 'expired' | 'revoked'; readonly name?: string };

/** A running pipit, composed from one config. */
export interface Runtime {
  readonly config: Config;
  /** Where it keeps everything. */
  readonly dataFolder: string;
  /**
   * Begins to work: recovers what was under way, polls, sweeps. Waits for a database that is away.
   *
   * @throws PluginError `DATABASE_AWAY_TOO_LONG` (stop) after `database.giveUpAfter`
   */
  start(): Promise<void>;
  /** Settles with `DATABASE_AWAY_TOO_LONG` when pipit cannot go on by itself and is to be stopped and started again. */
  readonly failed: Promise<PluginError>;
  /** Drains (no new step begins), then disposes of plugins in reverse order, each with a deadline; then the database. Safe to call twice. */
  stop(options?: { readonly deadlineMs?: number }): Promise<void>;
  /** Verifies a webhook with the instance's plugin and makes what it told durable before answering. Never throws for bad input. */
  receive(instance: string, request: HookRequest): Promise<HookAnswer>;
  /** A library user's own trigger: durable when it returns. */
  submit(request: SubmitRequest, actor: Actor): Promise<{ readonly eventId: string; readonly repeated: boolean }>;
  /** Everything else, on behalf of somebody. An actor without a `preset` is trusted: it is code of this process, as a library's user is. */
  api(actor: Actor): Api;
  health(): Promise<Health>;
  /** The first token, with every right, when this start made it; {@link Runtime.tokenFile} keeps it. Afterwards only its hash is known. */
  readonly firstToken: string | undefined;
  /** Where the first token is, for pipit's own user alone. */
  readonly tokenFile: string;
  /** Whom a token stands for; constant time. */
  checkToken(token: string): Promise<CheckedToken>;
  /** An audit line about something refused at the door. */
  recordRefusal(refusal: {
    readonly instance: string;
    readonly remoteAddress: string;
    readonly code: string;
    readonly message: string;
  }): Promise<void>;
  /** Says where the server listens, so that commands on this machine find it. */
  announce(url: string): Promise<void>;
  /** Counters and gauges, for /metrics. */
  readMetrics(): Promise<
    readonly {
      readonly name: string;
      readonly help: string;
      readonly type: 'counter' | 'gauge';
      readonly labels: Readonly<Record<string, string>>;
      readonly value: number;
    }[]
  >;
}
