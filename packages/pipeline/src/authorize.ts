/** What a person or program may do. A right is given for a verb and never for a route. */
export const VERBS = [
  // Reading.
  'overview',
  'read',
  // Acts of delivery.
  'promote',
  'approve',
  'withdraw',
  'rollback',
  'abort',
  'hold',
  'release',
  'recall',
  'cancel',
  'retry',
  'pause-host',
  'return-host',
  'stop-the-line',
  // Acts that set a guard aside, and those on pipit itself.
  'lift',
  'waive',
  'break-freeze',
  'reconcile',
  'manage-tokens',
] as const;

export type Verb = (typeof VERBS)[number];

/** `public` is anyone, without a token: it has only what the config makes public. */
export type Preset = 'public' | 'read' | 'deliver' | 'admin';

/** Presets that a token may have. */
export const TOKEN_PRESETS = ['read', 'deliver', 'admin'] as const satisfies readonly Preset[];
export type TokenPreset = (typeof TOKEN_PRESETS)[number];

const READING: readonly Verb[] = ['overview', 'read'];

/** What only an admin may: to set a guard aside needs more than to deliver. */
const RESERVED: readonly Verb[] = ['lift', 'waive', 'break-freeze', 'reconcile', 'manage-tokens'];

const VERBS_OF: Readonly<Record<Preset, ReadonlySet<Verb>>> = {
  public: new Set<Verb>(['overview']),
  read: new Set(READING),
  deliver: new Set(VERBS.filter((verb) => !RESERVED.includes(verb))),
  admin: new Set(VERBS),
};

/** What an act is about; presets are the same for every app and ring. */
export interface Scope {
  readonly app?: string;
  readonly ring?: string;
}

/** As much of an actor as counts. */
export interface WithPreset {
  readonly name: string;
  readonly preset?: Preset;
}

export type Authorization =
  | { readonly allowed: true }
  | {
      readonly allowed: false;
      /** A sentence: who may not do what, to what. */
      readonly reason: string;
      /** The presets that may. */
      readonly needs: readonly TokenPreset[];
    };

const targetOf = ({ app, ring }: Scope): string => {
  if (app === undefined) return '';
  return ring === undefined ? ` (${app})` : ` (${app}, ring ${ring})`;
};

/**
 * Whether an actor may do this: the one place where rights are decided, for reads and acts, over HTTP, in chat and in process.
 * An actor without a preset is code of this process, which has the database's rights anyway.
 */
export const authorize = (actor: WithPreset, verb: Verb, scope: Scope = {}): Authorization => {
  const { name, preset = 'admin' } = actor;
  if (VERBS_OF[preset].has(verb)) return { allowed: true };
  const needs = TOKEN_PRESETS.filter((each) => VERBS_OF[each].has(verb));
  return { allowed: false, reason: `${name} has the rights "${preset}", which do not include "${verb}"${targetOf(scope)}`, needs };
};
