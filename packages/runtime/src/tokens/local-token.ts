import { randomBytes, timingSafeEqual } from 'node:crypto';
import { localTokenFile, removeTokenFile, writeTokenFile } from './token-file.js';
import { hashToken } from './token-text.js';

/** For commands of pipit's own user on this machine: whoever reads the file may do everything, and has the database too. */
export interface LocalToken {
  readonly token: string;
  /** Writes it for commands to find. Before the server's address is announced, so that who knows the address finds it. */
  publish(): Promise<void>;
  isRight(token: string): boolean;
  remove(): Promise<void>;
}

/** Made for each process and kept nowhere else, so that none can be lost, and one that was copied ends with its server. */
export const createLocalToken = (dataFolder: string): LocalToken => {
  const token = `pipit_local_${randomBytes(32).toString('base64url')}`;
  const path = localTokenFile(dataFolder);
  const hash = Buffer.from(hashToken(token), 'hex');
  let written = false;
  return {
    token,
    publish: async () => {
      written = true;
      await writeTokenFile(path, token);
    },
    isRight: (given) => timingSafeEqual(hash, Buffer.from(hashToken(given), 'hex')),
    remove: async () => {
      if (written) await removeTokenFile(path, token);
    },
  };
};
