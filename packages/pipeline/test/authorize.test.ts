import { describe, expect, it } from 'vitest';
import { authorize, type Preset, VERBS, type Verb } from '../src/authorize.js';

const ALL: readonly Preset[] = ['public', 'read', 'deliver', 'admin'];
const DELIVERS: readonly Preset[] = ['deliver', 'admin'];
const ADMIN: readonly Preset[] = ['admin'];

/** The whole table of rights; a verb that is missing here does not compile. */
const WHO_MAY: Readonly<Record<Verb, readonly Preset[]>> = {
  overview: ALL,
  read: ['read', 'deliver', 'admin'],
  promote: DELIVERS,
  approve: DELIVERS,
  withdraw: DELIVERS,
  rollback: DELIVERS,
  abort: DELIVERS,
  hold: DELIVERS,
  release: DELIVERS,
  recall: DELIVERS,
  cancel: DELIVERS,
  retry: DELIVERS,
  'pause-host': DELIVERS,
  'return-host': DELIVERS,
  'stop-the-line': DELIVERS,
  lift: ADMIN,
  waive: ADMIN,
  'break-freeze': ADMIN,
  reconcile: ADMIN,
  'manage-tokens': ADMIN,
};

describe('authorize', () => {
  it.each(VERBS.flatMap((verb) => ALL.map((preset) => [preset, verb] as const)))('%s for %s', (preset, verb) => {
    expect(authorize({ name: 'token:ci', preset }, verb).allowed).toBe(WHO_MAY[verb].includes(preset));
  });

  it('lets code of this process do everything', () => {
    for (const verb of VERBS) expect(authorize({ name: 'library' }, verb)).toEqual({ allowed: true });
  });

  it('says what is missing, for what, and which tokens have it', () => {
    expect(authorize({ name: 'token:ci', preset: 'read' }, 'promote', { app: 'web', ring: 'production' })).toEqual({
      allowed: false,
      reason: 'token:ci has the rights "read", which do not include "promote" (web, ring production)',
      needs: ['deliver', 'admin'],
    });
    expect(authorize({ name: 'token:ci', preset: 'deliver' }, 'reconcile')).toMatchObject({ needs: ['admin'] });
  });
});
