import { type Actor, VERBS } from '@pipit/pipeline';
import { describe, expect, it } from 'vitest';
import type { Api } from '../src/api.js';
import { authorizedApi, VERB_OF } from '../src/authorized-api.js';

const METHODS = Object.keys(VERB_OF) as readonly (keyof Api)[]; // its keys are those of the Api, or it does not compile

/** Answers the name of the call that came through. */
const openApi = Object.fromEntries(
  METHODS.map((method) => [method, method === 'follow' ? () => method : async () => method]),
) as unknown as Api;

const ask = async (actor: Actor, method: keyof Api): Promise<string> => {
  const call = authorizedApi(openApi, actor)[method] as (given: object) => unknown;
  try {
    return String(await call({ app: 'web', ring: 'production' }));
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'broken';
  }
};

describe('the Api', () => {
  it('has a verb for every call, and lets through what the actor may and nothing else', async () => {
    for (const method of METHODS) {
      expect(VERBS).toContain(VERB_OF[method]);
      expect(await ask({ name: 'library', origin: 'here' }, method)).toBe(method);
      expect(await ask({ name: 'token:a', origin: 'x', preset: 'admin' }, method)).toBe(method);
      const isOverview = VERB_OF[method] === 'overview';
      expect(await ask({ name: 'anonymous', origin: 'x', preset: 'public' }, method)).toBe(isOverview ? method : 'RIGHT_MISSING');
      const isRead = isOverview || VERB_OF[method] === 'read';
      expect(await ask({ name: 'token:r', origin: 'x', preset: 'read' }, method)).toBe(isRead ? method : 'RIGHT_MISSING');
    }
  });

  it('names the app, the ring and the token that would do', async () => {
    const api = authorizedApi(openApi, { name: 'token:r', origin: 'x', preset: 'read' });
    await expect(api.promote({ app: 'web', ring: 'production' })).rejects.toMatchObject({
      code: 'RIGHT_MISSING',
      message: 'token:r has the rights "read", which do not include "promote" (web, ring production)',
      hint: expect.stringContaining('--preset deliver'),
    });
  });
});
