import type { AnyPlugin, HealthCheck, HostAddress, Json, RingName, RoleName, Secret } from '@pipit/core';
import type { ConfigPath } from './config-path.js';
import type { Location } from './problem-report.js';

/** One use of an instance by a pipeline. */
export interface Slot {
  /** The instance's name. */
  readonly use: string;
  /** As the schema of the plugin's kind gives them; `{}` where it has none. */
  readonly options: unknown;
}

/** Which pushes start the pipeline: see {@link compileRule}. */
export interface TriggerRule {
  /** A CEL expression over `event`. */
  readonly when?: string;
  readonly branches?: readonly string[];
  readonly tags?: readonly string[];
  readonly paths?: readonly string[];
}

/** Another machine than pipit's own. */
export type PlaceConfig = { readonly host: HostAddress } | { readonly service: string };

/** A slot whose plugin may work on another host. */
export type PlacedSlot = Slot & { readonly on?: PlaceConfig };

export type TriggerSlot = Slot & TriggerRule;

/** A number of hosts, or a share of them from 0 to 1. */
export type MinHealthy = { readonly hosts: number } | { readonly share: number };

export interface RingConfig {
  readonly name: RingName;
  /** Milliseconds; default 0. */
  readonly bakeMs: number;
  /** Absent: at least one, and half. */
  readonly minHealthy?: MinHealthy;
  /** How the ring is entered from the one before; default manual. The first ring is entered by a run itself: automatic. */
  readonly promotion: 'manual' | 'automatic';
  /** Default rollback. */
  readonly onFailure: 'rollback' | 'stop';
}

/** What one app needs differently from its pipeline. */
export interface AppOverrides {
  readonly role?: RoleName;
  readonly health?: HealthCheck;
  /** May take the place of a package that is not pipit's. Default: no. */
  readonly takeOver?: boolean;
}

export interface PipelineConfig {
  readonly name: string;
  /** Globs of repository names. */
  readonly repositories: readonly string[];
  readonly trigger: TriggerSlot;
  readonly ci: PlacedSlot;
  readonly packager: PlacedSlot;
  readonly repository: PlacedSlot;
  readonly discovery: Slot;
  /** The discovery instance unless configured. */
  readonly advertiser: Slot;
  readonly deployer: PlacedSlot;
  /** Reaches other hosts. Always there when a slot says `on`. */
  readonly transport?: Slot;
  /** Told of each change of a run. Default: nobody. */
  readonly notify: readonly Slot[];
  /** Default `app`. */
  readonly role: RoleName;
  /** For how long a run waits for a fault that may pass; milliseconds, default 15 minutes. */
  readonly patienceMs: number;
  /** In order; at least one. A release is finished in the last one. */
  readonly rings: readonly RingConfig[];
  readonly health?: HealthCheck;
  /** By app name. */
  readonly apps: Readonly<Record<string, AppOverrides>>;
}

export interface InstanceConfig {
  readonly uses: string;
  readonly plugin: AnyPlugin;
  /** As the plugin's schema gives it. */
  readonly config: unknown;
}

export interface ServerConfig {
  readonly host: string;
  readonly port: number;
  readonly publicUrl?: string;
  /** More names and addresses by which pipit is reached. */
  readonly hosts: readonly string[];
  /** Addresses and networks of reverse proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[];
  /** `allow`: addresses and networks that may read `/metrics` without a token. */
  readonly metrics: { readonly allow: readonly string[] };
  /** What anyone may read. */
  readonly public: readonly ('apps' | 'runs')[];
}

/** A config file, read, resolved and validated. It is frozen, and `JSON.stringify` gives {@link Config.source}. */
export interface Config {
  /** The file format's. */
  readonly version: 1;
  /** As it was given. */
  readonly file: string;
  /** Absolute. */
  readonly dataFolder?: string;
  readonly server: ServerConfig;
  /** The most that a package may have, and all outputs of a build together. */
  readonly maxFileBytes: number;
  readonly database: {
    /** Absent: the embedded one. */
    readonly url?: Secret;
    readonly ownerUrl?: Secret;
    /** How long a server waits for a database that is away. Default 15 minutes. */
    readonly giveUpAfterMs: number;
  };
  readonly audit: { readonly key?: Secret; readonly previousKey?: Secret; readonly every: number };
  /** What repositories' code may see and use on pipit's machine. */
  readonly sandbox: {
    /** Absolute paths that it may read, beside the system's programs. */
    readonly readable: readonly string[];
    /** What builds and packagings reach. */
    readonly network: 'full' | 'outbound' | 'none';
    /** What `outbound` reaches too. `host`: an IPv4 address, a network or a name. */
    readonly allow: readonly { readonly host: string; readonly port?: number }[];
    /** What each piece of work may use. */
    readonly limits: {
      /** Bytes. */
      readonly memory: number;
      /** Processes and threads. */
      readonly tasks: number;
      /** Cores. */
      readonly cpu: number;
      /** Bytes in the folders of the work. */
      readonly disk: number;
      readonly files: number;
      /** Bytes of one file. */
      readonly fileSize: number;
    };
  };
  readonly trustRepositories: boolean;
  /** By instance name; also those that a slot names without declaring them. */
  readonly plugins: Readonly<Record<string, InstanceConfig>>;
  /** By name, in the file's order. */
  readonly pipelines: Readonly<Record<string, PipelineConfig>>;
  /** What stands in the file, references unresolved: for records. */
  readonly source: Json;
  /** Where something stands in the file, for a problem that shows only later; absent in a config made by hand. */
  readonly locate?: (path: ConfigPath) => Location;
}
