import { PluginError } from '@pipit/core';
import { type Actor, authorize, type Scope, type Verb } from '@pipit/pipeline';
import type { Api } from './api.js';

/** The right that each call needs. A call that is not here does not compile. */
export const VERB_OF = {
  listApps: 'overview',
  listRuns: 'overview',
  showRun: 'read',
  readLog: 'read',
  listReleases: 'read',
  listHosts: 'read',
  showEvent: 'read',
  listEvents: 'read',
  listAudit: 'read',
  listAuditHeads: 'read',
  plan: 'read',
  doctor: 'read',
  follow: 'read',
  promote: 'promote',
  rollback: 'rollback',
  cancel: 'cancel',
  retry: 'retry',
  reconcile: 'reconcile',
  listTokens: 'manage-tokens',
  createToken: 'manage-tokens',
  revokeToken: 'manage-tokens',
} as const satisfies Readonly<Record<keyof Api, Verb>>;

/** Throws a PluginError `RIGHT_MISSING` when the actor may not. */
export const requireRight = (actor: Actor, verb: Verb, scope: Scope = {}): void => {
  const authorization = authorize(actor, verb, scope);
  if (authorization.allowed) return;
  throw new PluginError({
    code: 'RIGHT_MISSING',
    message: authorization.reason,
    hint: `It takes a token with the rights ${authorization.needs.map((preset) => `"${preset}"`).join(' or ')}: pipit token create NAME --preset ${authorization.needs[0] ?? 'admin'}`,
    recovery: 'stop',
  });
};

const textAt = (given: unknown, key: string): string | undefined => {
  if (typeof given !== 'object' || given === null || !(key in given)) return undefined;
  const value: unknown = Reflect.get(given, key);
  return typeof value === 'string' ? value : undefined;
};

const scopeOf = ([given]: readonly unknown[]): Scope => {
  const app = textAt(given, 'app');
  const ring = textAt(given, 'ring');
  return { ...(app === undefined ? {} : { app }), ...(ring === undefined ? {} : { ring }) };
};

type Call = (...given: readonly unknown[]) => unknown;

/** Every call of the Api behind {@link authorize}. A call that answers with a promise rejects; `follow` throws at once. */
export const authorizedApi = (api: Api, actor: Actor): Api => {
  const guarded = Object.keys(VERB_OF).map((key) => {
    const method = key as keyof Api; // the keys of VERB_OF are those of the Api
    const call = api[method] as Call; // passes on what it is given, unseen
    const checked: Call = (...given) => {
      requireRight(actor, VERB_OF[method], scopeOf(given));
      return call(...given);
    };
    const promised: Call = async (...given) => checked(...given);
    return [method, method === 'follow' ? checked : promised] as const;
  });
  return Object.fromEntries(guarded) as unknown as Api; // one function for each call, of its own signature
};
