import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '@pipit/config';
import { PluginError } from '@pipit/core';

export interface AuditKey {
  /** The first half of the sha256 of the public key (SPKI, DER), hexadecimal. */
  readonly id: string;
  /** PEM. */
  readonly publicKey: string;
  /** ed25519 over the text, base64. */
  sign(text: string): string;
}

export interface AuditKeys {
  readonly current: AuditKey;
  /** The key before a rotation: it vouches for the current one. */
  readonly previous: AuditKey | undefined;
}

const FILES = { key: 'audit-key.pem', public: 'audit-key.pub.pem', previous: 'audit-key.previous.pem' } as const;

const parseKey = (pem: string, where: string): AuditKey => {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw invalid(where, 'is not a private key in PEM'); // without the cause, which may quote it
  }
  if (key.asymmetricKeyType !== 'ed25519') throw invalid(where, `is an ${key.asymmetricKeyType ?? 'unknown'} key`);
  const publicKey = createPublicKey(key);
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return {
    id: createHash('sha256').update(der).digest('hex').slice(0, 32),
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    sign: (text) => sign(null, Buffer.from(text), key).toString('base64'),
  };
};

const invalid = (where: string, what: string): PluginError =>
  new PluginError({
    code: 'AUDIT_KEY_INVALID',
    message: `The audit trail's key (${where}) ${what}`,
    hint: 'Make one with: openssl genpkey -algorithm ed25519 -out audit-key.pem',
    recovery: 'stop',
  });

const readOptional = (path: string): Promise<string | undefined> =>
  readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });

/** Whole and on the disk under its name, or not there. */
const writeKeyFile = async (path: string, text: string): Promise<void> => {
  const fresh = `${path}.new`;
  await rm(fresh, { force: true });
  const handle = await open(fresh, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, path);
};

/**
 * The key of the config, or the one in the data folder, which is made at the first start. Its public half lies beside it, to be copied elsewhere.
 *
 * @throws PluginError `AUDIT_KEY_INVALID` (stop)
 */
export const loadAuditKeys = async (options: {
  readonly config: Config['audit'];
  readonly keysFolder: string;
  readonly hide: (secret: string) => void;
}): Promise<AuditKeys> => {
  const { config, keysFolder, hide } = options;
  const path = (name: keyof typeof FILES): string => join(keysFolder, FILES[name]);
  const load = async (given: string | undefined, name: 'key' | 'previous'): Promise<AuditKey | undefined> => {
    const pem = given ?? (config.key === undefined ? await readOptional(path(name)) : undefined);
    if (pem === undefined) return undefined;
    hide(pem.trim());
    return parseKey(pem, given === undefined ? path(name) : `audit.${name === 'key' ? 'key' : 'previousKey'} of the config`);
  };
  let current = await load(config.key?.reveal(), 'key');
  if (current === undefined) {
    const made = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    await writeKeyFile(path('key'), made);
    hide(made.trim());
    current = parseKey(made, path('key'));
  }
  if ((await readOptional(path('public'))) !== current.publicKey) await writeKeyFile(path('public'), current.publicKey);
  return { current, previous: await load(config.previousKey?.reveal(), 'previous') };
};
