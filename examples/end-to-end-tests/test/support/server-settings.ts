import type { GivenRing } from '@pipit/runtime';

/** Where a server kills itself. */
export interface KillOrder {
  readonly point: string;
  /** 0: exactly there. */
  readonly afterMs: number;
}

/** What the program test/programs/server.ts is told. */
export interface ServerSettings {
  readonly dataFolder: string;
  readonly port: number;
  readonly secretFile: string;
  readonly inventory: string;
  readonly repositories: Readonly<Record<string, { readonly path: string }>>;
  readonly rings: readonly GivenRing[];
  /** Whether it says each point that it passes. */
  readonly tellPoints?: boolean;
  readonly kill?: KillOrder;
  /** How long an install on a host may take; default the plugin's. */
  readonly installLimit?: string;
  /** Apps that may take the place of a package that is not pipit's. */
  readonly takeOver?: readonly string[];
}
