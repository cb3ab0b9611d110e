import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { appendAudit, PIPIT_ACTOR, type Records } from '@pipit/pipeline';

const SETTING = 'apiToken';
const PREFIX = 'pipit_';

// A random token of 256 bits needs no slow hash: there is nothing to guess.
const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');

export interface Tokens {
  /** The token, when this call made it: it is shown once, and only its hash is kept. */
  ensure(): Promise<string | undefined>;
  check(token: string): Promise<{ readonly name: string } | undefined>;
}

/** The bearer token that changes of state need. */
export const createTokens = (records: Records): Tokens => ({
  ensure: () =>
    records.transaction(async (transaction) => {
      const token = `${PREFIX}${randomBytes(32).toString('base64url')}`;
      if (!(await transaction.insert('settings', { name: SETTING, value: { hash: hashOf(token), name: 'admin' } }))) return undefined;
      await appendAudit(transaction, { at: new Date(), actor: PIPIT_ACTOR, action: 'token.create', subject: 'admin' });
      return token;
    }),
  check: async (token) => {
    const row = await records.get('settings', { name: SETTING });
    const stored = row?.value as { hash: string; name: string } | undefined; // written by ensure
    if (stored === undefined) return undefined;
    const same = timingSafeEqual(Buffer.from(hashOf(token), 'hex'), Buffer.from(stored.hash, 'hex'));
    return same ? { name: stored.name } : undefined;
  },
});
