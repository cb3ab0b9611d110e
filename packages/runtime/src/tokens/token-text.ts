import { createHash, randomBytes, randomInt } from 'node:crypto';

const ID_LENGTH = 12;
const ID_LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';
/** 256 bits: there is nothing to guess, so that no slow hash is needed. */
const SECRET_BYTES = 32;

/** `pipit_<id>_<secret>`: the id finds the row, the secret proves. */
const TOKEN = new RegExp(`^pipit_([a-z0-9]{${ID_LENGTH}})_[A-Za-z0-9_-]{43}$`);
/** What pipit made before tokens had names: one for each installation, and no id in it. */
const OLD_TOKEN = /^pipit_[A-Za-z0-9_-]{43}$/;
/** The id that the migration `0006-tokens` gives to that one. */
const OLD_TOKEN_ID = 'first';

export interface MadeToken {
  readonly id: string;
  readonly token: string;
}

export const makeToken = (): MadeToken => {
  const id = Array.from({ length: ID_LENGTH }, () => ID_LETTERS[randomInt(ID_LETTERS.length)]).join('');
  return { id, token: `pipit_${id}_${randomBytes(SECRET_BYTES).toString('base64url')}` };
};

/** The id within a token; undefined when it is none of ours. */
export const tokenIdOf = (token: string): string | undefined => {
  const id = TOKEN.exec(token)?.[1];
  return id ?? (OLD_TOKEN.test(token) ? OLD_TOKEN_ID : undefined);
};

/** SHA-256 of the whole token, in hexadecimal characters. */
export const hashToken = (token: string): string => createHash('sha256').update(token).digest('hex');
