import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Call, Clock } from './context/call.js';
import type { Logger } from './context/logger.js';
import type { Sandbox } from './context/sandbox.js';
import type { Alarm } from './domain/alarm.js';
import type { ChangeEvent } from './domain/change-event.js';
import type { HostReport, Labels, RingRef } from './domain/host.js';
import type { Advertiser } from './kinds/advertiser.js';
import type { Balancer } from './kinds/balancer.js';
import type { Ci } from './kinds/ci.js';
import type { Deployer } from './kinds/deployer.js';
import type { Discovery } from './kinds/discovery.js';
import type { Gate } from './kinds/gate.js';
import type { Notifier } from './kinds/notifier.js';
import type { Packager } from './kinds/packager.js';
import type { Repository } from './kinds/repository.js';
import type { Handle } from './kinds/task.js';
import type { Transport } from './kinds/transport.js';
import type { Trigger } from './kinds/trigger.js';
import type { Schema } from './schema.js';

/** Every kind, with the options that one pipeline gives it (`with:` beside `use:`). */
export interface Kinds<Options> {
  trigger: Trigger;
  ci: Ci<Options>;
  packager: Packager<Options>;
  repository: Repository<Options>;
  discovery: Discovery<Options>;
  advertiser: Advertiser<Options>;
  deployer: Deployer<Options>;
  transport: Transport;
  balancer: Balancer<Options>;
  gate: Gate<Options>;
  notifier: Notifier<Options>;
}

export type Kind = keyof Kinds<unknown>;

/** The version of each kind's interface that this core offers. A plugin that was written for another one fails at load, by name. */
export const KIND_VERSIONS = {
  trigger: 1,
  ci: 1,
  packager: 1,
  repository: 1,
  discovery: 1,
  advertiser: 1,
  deployer: 1,
  transport: 1,
  balancer: 1,
  gate: 1,
  notifier: 1,
} as const satisfies Record<Kind, number>;

/** The kinds a plugin provides. `version` is a literal that its author writes, so that it stays what it was when core grows. */
export type Provides = { readonly [K in Kind]?: { readonly version: (typeof KIND_VERSIONS)[K]; readonly options?: Schema<unknown> } };

/** The options of one kind, as its schema gives them; none without a schema. */
export type OptionsOf<P> = P extends { readonly options: StandardSchemaV1<infer _Input, infer Output> }
  ? Output
  : Readonly<Record<string, never>>;

/** What `setup` returns: one object a provided kind, and the lifecycle. */
export type Instance<P> = { readonly [K in keyof P & Kind]: Kinds<OptionsOf<P[K]>>[K] } & Lifecycle;

export interface HookRequest {
  /** `POST` or `GET`. */
  readonly method: string;
  readonly query: Labels;
  /** Names in lower case. */
  readonly headers: Labels;
  /** The raw bytes, for the signature. At most 25 MiB. */
  readonly body: Uint8Array;
  readonly remoteAddress: string;
}

/** What the outside may tell. */
export type Inbound =
  | { readonly type: 'change'; readonly event: ChangeEvent }
  | { readonly type: 'build'; readonly handle?: Handle; readonly key?: string; readonly commit?: string }
  | { readonly type: 'alarm'; readonly alarm: Alarm }
  | { readonly type: 'command'; readonly command: ChatCommand }
  | { readonly type: 'host'; readonly ring: RingRef; readonly report: HostReport };

export interface ChatCommand {
  readonly userId: string;
  readonly words: readonly string[];
  readonly replyTo: Handle;
}

/** `accepted: []` is a ping: answered with success, nothing stored. */
export type Received =
  | { readonly accepted: readonly Inbound[]; readonly answer?: { readonly status: number; readonly body: string } }
  | {
      readonly refused: string;
      /** Documented like any other, for example `LOCAL_SIGNATURE_WRONG`. */
      readonly code: string;
      readonly status: 400 | 401 | 403 | 404 | 413 | 415;
    };

export interface HealthFinding {
  /** What was looked at, for example `signing key`. */
  readonly name: string;
  readonly ok: boolean;
  /** What was found. */
  readonly detail?: string;
  /** What to do when it is not ok. */
  readonly hint?: string;
}

/** All optional. An ability that is missing is a method that is missing, never a flag. */
export interface Lifecycle {
  /** `POST` or `GET /hooks/<instance>`: verifies, does no I/O. What it accepts is durable before the answer goes out. */
  receive?(request: HookRequest, call: Call): Promise<Received>;
  /** Asked by `pipit doctor`. */
  checkHealth?(call: Call): Promise<readonly HealthFinding[]>;
  /** Called once, in reverse order of setup, with a deadline. */
  dispose?(): Promise<void>;
}

export interface Setup {
  /** The instance's name in the config. */
  readonly instance: string;
  /** Where the outside reaches {@link Lifecycle.receive}. */
  readonly hookUrl: string;
  /** A private folder of this instance on this machine, kept over restarts: for caches, and for a plugin that is this machine. Made by pipit, mode 0700. */
  readonly folder: string;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly sandbox: Sandbox;
}

export interface Plugin<Config, P extends Provides, Input = unknown> {
  /** The package's name. */
  readonly name: string;
  readonly config: Schema<Config, Input>;
  readonly provides: P;
  setup(config: Config, setup: Setup): Instance<P> | Promise<Instance<P>>;
}

/** What the `setup` of any plugin returns, its types forgotten: each kind may be missing. */
// biome-ignore lint/suspicious/noExplicitAny: a kind is contravariant in its options, so no other type holds them all
export type AnyInstance = { readonly [K in Kind]?: Kinds<any>[K] } & Lifecycle;

/** Any plugin, its types forgotten: what a loader finds in a package. */
export interface AnyPlugin {
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: a plugin is contravariant in its config, so no other type holds them all
  readonly config: Schema<any, any>;
  readonly provides: Provides;
  // biome-ignore lint/suspicious/noExplicitAny: see config
  setup(config: any, setup: Setup): AnyInstance | Promise<AnyInstance>;
}

/** Says what a plugin is, with every type inferred. It returns its argument. */
export const definePlugin = <Config, Input, const P extends Provides>(plugin: Plugin<Config, P, Input>): Plugin<Config, P, Input> => plugin;
