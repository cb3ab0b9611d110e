import { timingSafeEqual } from 'node:crypto';
import { type Clock, type Logger, PluginError } from '@pipit/core';
import { type Actor, appendAudit, PIPIT_ACTOR, type Records, TOKEN_PRESETS, type TokenPreset, type TokenRow } from '@pipit/pipeline';
import type { CreatedToken, TokenView } from '../api.js';
import { unknown } from '../views/unknown.js';
import { readTokenFile, writeTokenFile } from './token-file.js';
import { hashToken, makeToken, tokenIdOf } from './token-text.js';

/** Its name stands in the audit trail as `token:<name>`. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,59}$/;
const FIRST_NAME = 'admin';
/** How exactly the last use is known: not each request writes. */
const USE_RESOLUTION_MS = 3_600_000;
const MIN_LIFE_MS = 1_000;
const MAX_LIFE_MS = 10 * 365 * 86_400_000;
/** Compared with when there is no such token, so that it takes as long. */
const NOBODY = Buffer.alloc(32);

/** Why a token is not taken is for the log and the audit trail; who shows one is told only that it is not valid. */
export type TokenCheck =
  | { readonly valid: true; readonly name: string; readonly preset: TokenPreset }
  | { readonly valid: false; readonly why: 'unknown' | 'expired' | 'revoked'; readonly name?: string };

export interface TokenToCreate {
  readonly name: string;
  readonly preset: TokenPreset;
  /** null: it does not expire. */
  readonly expiresInMs: number | null;
}

export interface Tokens {
  /**
   * Makes the first token of an installation and answers it, or undefined when one was ever made. It is in its file before the database knows it,
   * so that a kill at any point loses nothing: what is in the file alone is stored at the next start.
   */
  ensureFirst(file: string): Promise<string | undefined>;
  check(token: string): Promise<TokenCheck>;
  list(): Promise<readonly TokenView[]>;
  /** The answer has the token itself, this once. Throws `TOKEN_NAME_TAKEN` and `INVALID_TOKEN`. */
  create(token: TokenToCreate, actor: Actor): Promise<CreatedToken>;
  /** Revoking again is no error. Throws `TOKEN_UNKNOWN`. */
  revoke(name: string, actor: Actor): Promise<TokenView>;
}

const invalid = (message: string, hint: string): PluginError => unknown({ code: 'INVALID_TOKEN', message, hint });

const parseNew = ({ name, preset, expiresInMs }: TokenToCreate): void => {
  if (!NAME.test(name))
    throw invalid(
      `${JSON.stringify(name)} is no name of a token`,
      'Use lower-case letters, digits, ".", "_" and "-", at most 60 characters.',
    );
  if (!TOKEN_PRESETS.includes(preset)) throw invalid(`There are no rights ${JSON.stringify(preset)}`, `Use ${TOKEN_PRESETS.join(', ')}.`);
  if (expiresInMs !== null && !(expiresInMs >= MIN_LIFE_MS && expiresInMs <= MAX_LIFE_MS))
    throw invalid('A token cannot expire then', 'Let it expire within ten years, or never.');
};

const viewOf = ({ hash: _hash, ...row }: TokenRow): TokenView => row;

/** The tokens of the API. Only hashes are kept. */
export const createTokens = ({
  records,
  clock,
  logger,
}: {
  readonly records: Records;
  readonly clock: Clock;
  readonly logger: Logger;
}): Tokens => {
  const nowText = (): string => clock.now().toISOString();

  const store = (row: TokenRow, actor: Actor): Promise<boolean> =>
    records.transaction(async (transaction) => {
      if (!(await transaction.insert('tokens', row))) return false;
      const detail = { id: row.id, preset: row.preset, expiresAt: row.expiresAt };
      await appendAudit(transaction, { at: clock.now(), actor, action: 'token.create', subject: row.name, detail });
      return true;
    });

  const rowOf = (made: { readonly id: string; readonly token: string }, given: TokenToCreate, actor: Actor): TokenRow => ({
    id: made.id,
    name: given.name,
    hash: hashToken(made.token),
    preset: given.preset,
    createdAt: nowText(),
    createdBy: actor.name,
    expiresAt: given.expiresInMs === null ? null : new Date(clock.now().getTime() + given.expiresInMs).toISOString(),
    lastUsedAt: null,
    revokedAt: null,
    revokedBy: null,
  });

  const touch = async (row: TokenRow): Promise<void> => {
    if (row.lastUsedAt !== null && clock.now().getTime() - Date.parse(row.lastUsedAt) < USE_RESOLUTION_MS) return;
    try {
      await records.transaction((transaction) => transaction.update('tokens', { id: row.id }, { lastUsedAt: nowText() }), {
        durable: 'soon',
        oneWrite: true,
      });
    } catch (error) {
      logger.warn({ error, token: row.name }, 'The use of a token could not be noted');
    }
  };

  const whyNot = (row: TokenRow): 'expired' | 'revoked' | undefined => {
    if (row.revokedAt !== null) return 'revoked';
    return row.expiresAt !== null && Date.parse(row.expiresAt) <= clock.now().getTime() ? 'expired' : undefined;
  };

  return {
    ensureFirst: (file) =>
      records.exclusively('first-token', async () => {
        const [any] = await records.list('tokens', { limit: 1 });
        if (any !== undefined) return undefined;
        const kept = await readTokenFile(file);
        const keptId = kept === undefined ? undefined : tokenIdOf(kept);
        const made = kept === undefined || keptId === undefined ? makeToken() : { id: keptId, token: kept };
        if (made.token !== kept) await writeTokenFile(file, made.token);
        await store(rowOf(made, { name: FIRST_NAME, preset: 'admin', expiresInMs: null }, PIPIT_ACTOR), PIPIT_ACTOR);
        return made.token;
      }),
    check: async (token) => {
      const id = tokenIdOf(token);
      if (id === undefined) return { valid: false, why: 'unknown' };
      const row = await records.get('tokens', { id });
      const isRight = timingSafeEqual(Buffer.from(hashToken(token), 'hex'), row === undefined ? NOBODY : Buffer.from(row.hash, 'hex'));
      if (row === undefined || !isRight) return { valid: false, why: 'unknown' };
      const why = whyNot(row);
      if (why !== undefined) return { valid: false, why, name: row.name };
      await touch(row);
      return { valid: true, name: row.name, preset: row.preset };
    },
    list: async () => (await records.list('tokens', { orderBy: ['createdAt', 'ascending'] })).map(viewOf),
    create: async (given, actor) => {
      parseNew(given);
      const made = makeToken();
      const row = rowOf(made, given, actor);
      if (await store(row, actor)) return { ...viewOf(row), token: made.token };
      throw new PluginError({
        code: 'TOKEN_NAME_TAKEN',
        message: `There is, or was, a token ${given.name}`,
        hint: 'Choose another name: one is given once, so that the audit trail says which token it was.',
        recovery: 'stop',
      });
    },
    revoke: (name, actor) =>
      records.transaction(async (transaction) => {
        const [row] = await transaction.list('tokens', { where: { name } });
        if (row === undefined)
          throw unknown({ code: 'TOKEN_UNKNOWN', message: `There is no token ${name}`, hint: 'See `pipit token list`.' });
        if (row.revokedAt !== null) return viewOf(row);
        const changes = { revokedAt: nowText(), revokedBy: actor.name };
        await transaction.update('tokens', { id: row.id }, changes);
        await appendAudit(transaction, { at: clock.now(), actor, action: 'token.revoke', subject: name, detail: { id: row.id } });
        return viewOf({ ...row, ...changes });
      }),
  };
};
