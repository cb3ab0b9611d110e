import type { AppName, RingName, RoleName } from '@pipit/core';
import type { LockRow } from '../records/rows.js';

interface LockOwner {
  readonly app: AppName;
  readonly role: RoleName;
}

/** Held while hosts of the app and role are brought to a release, forward or back: one such install at a time. */
export const installLockOf = ({ app, role }: LockOwner): string => `rollout:${app}:${role}`;

/** Held from a forward rollout's beginning to the end of its bake: keeps other forward rollouts out of the ring, and no rollback. */
export const ringLockOf = ({ app, role }: LockOwner, ring: RingName): string => `ring:${app}:${role}:${ring}`;

/** Names of all locks that concern an app and role. */
export const lockNamesOf = (owner: LockOwner, rings: readonly { readonly name: RingName }[]): readonly string[] => [
  installLockOf(owner),
  ...rings.map((ring) => ringLockOf(owner, ring.name)),
];

/** Says who holds a lock, of what, since when and why. */
export const describeLock = ({ name, runId, reason, since }: LockRow): string => {
  const [kind, app, , ring] = name.split(':');
  return `Run ${runId} holds ${kind === 'ring' ? `ring ${ring}` : 'the rollout lock'} of ${app} (${reason}) since ${since}`;
};
