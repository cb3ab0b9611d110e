import type { AnyPlugin, HealthCheck, Kind } from '@pipit/core';

/** A plugin and its config, as a library user gives them. */
export interface GivenPlugin {
  readonly plugin: AnyPlugin;
  /** As in the config file. Secrets are given as `createSecret(...)`, `{ $env }` or `{ $file }`. */
  readonly with?: Readonly<Record<string, unknown>>;
}

/** The names of the instances that provide a kind. */
export type InstancesWith<Plugins, K extends Kind> = {
  [Name in keyof Plugins & string]: Plugins[Name] extends { readonly plugin: { readonly provides: infer P } }
    ? K extends keyof P
      ? Name
      : never
    : never;
}[keyof Plugins & string];

/** A slot: an instance's name, or with options. Naming one without the kind does not compile. */
export type GivenSlot<Plugins, K extends Kind> =
  | InstancesWith<Plugins, K>
  | { readonly use: InstancesWith<Plugins, K>; readonly with?: Readonly<Record<string, unknown>> };

/** A slot whose plugin may work on another host. */
export type GivenPlacedSlot<Plugins, K extends Kind> =
  | InstancesWith<Plugins, K>
  | {
      readonly use: InstancesWith<Plugins, K>;
      readonly with?: Readonly<Record<string, unknown>>;
      readonly on?: { readonly host: string } | { readonly service: string };
    };

export interface GivenRing {
  readonly name: string;
  /** For example `30m`. */
  readonly bake?: string;
  readonly minHealthy?: number | `${number}%`;
  readonly promotion?: 'manual' | 'automatic';
  readonly onFailure?: 'rollback' | 'stop';
}

type GivenHealth =
  | Omit<Extract<HealthCheck, { type: 'http' }>, 'withinMs'>
  | Omit<Extract<HealthCheck, { type: 'tcp' }>, 'withinMs'>
  | Omit<Extract<HealthCheck, { type: 'command' }>, 'withinMs'>;

type GivenTrigger<Plugins> =
  | InstancesWith<Plugins, 'trigger'>
  | {
      readonly use: InstancesWith<Plugins, 'trigger'>;
      readonly with?: Readonly<Record<string, unknown>>;
      readonly when?: string;
      readonly branches?: readonly string[];
      readonly tags?: readonly string[];
      readonly paths?: readonly string[];
    };

export interface GivenPipeline<Plugins> {
  readonly repositories: readonly string[];
  readonly trigger: GivenTrigger<Plugins>;
  readonly ci: GivenPlacedSlot<Plugins, 'ci'>;
  readonly packager: GivenPlacedSlot<Plugins, 'packager'>;
  readonly repository: GivenPlacedSlot<Plugins, 'repository'>;
  readonly discovery: GivenSlot<Plugins, 'discovery'>;
  readonly advertiser?: GivenSlot<Plugins, 'advertiser'>;
  readonly deployer: GivenPlacedSlot<Plugins, 'deployer'>;
  readonly transport?: GivenSlot<Plugins, 'transport'>;
  readonly notify?: readonly GivenSlot<Plugins, 'notifier'>[];
  readonly role?: string;
  readonly rings?: readonly GivenRing[];
  readonly health?: GivenHealth & { readonly within?: string };
  readonly apps?: Readonly<
    Record<string, { readonly role?: string; readonly health?: GivenHealth & { readonly within?: string }; readonly takeOver?: boolean }>
  >;
}

/** The config as an object: what the file says, typed by the plugins that are given. */
export interface RuntimeConfig<Plugins extends Readonly<Record<string, GivenPlugin>> = Readonly<Record<string, GivenPlugin>>> {
  readonly dataFolder?: string;
  readonly server?: {
    readonly host?: string;
    readonly port?: number;
    readonly publicUrl?: string;
    readonly hosts?: readonly string[];
    readonly trustedProxies?: readonly string[];
    readonly metrics?: { readonly allow?: readonly string[] };
    readonly public?: readonly ('apps' | 'runs')[];
  };
  /** For example `2GiB`. */
  readonly maxFileSize?: string;
  readonly database?: { readonly url?: unknown; readonly ownerUrl?: unknown; readonly giveUpAfter?: string };
  readonly audit?: { readonly key?: unknown; readonly previousKey?: unknown; readonly every?: string };
  /** What repositories' code may see and use on pipit's machine. */
  readonly sandbox?: {
    readonly readable?: readonly string[];
    readonly network?: 'full' | 'outbound' | 'none';
    /** For example `10.1.0.0/16` or `npm.internal:4873`. */
    readonly allow?: readonly string[];
    /** Sizes as in the config file, for example `2GiB`. */
    readonly limits?: {
      readonly memory?: string;
      readonly tasks?: number;
      readonly cpu?: number;
      readonly disk?: string;
      readonly files?: number;
      readonly fileSize?: string;
    };
  };
  readonly trustRepositories?: boolean;
  readonly plugins: Plugins;
  readonly pipelines: Readonly<Record<string, GivenPipeline<Plugins>>>;
}
