import type { Destination } from './ssh2-destination.js';

/** What ssh2 1.17 can do of what OpenSSH 9 offers, without what is broken. It throws at names that it does not know. */
const SUPPORTED: Readonly<Record<keyof Destination['algorithms'], readonly string[]>> = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group-exchange-sha256',
    'diffie-hellman-group14-sha256',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group18-sha512',
  ],
  cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'aes192-ctr', 'aes256-ctr', 'chacha20-poly1305@openssh.com'],
  hmac: [
    'hmac-sha2-256-etm@openssh.com',
    'hmac-sha2-512-etm@openssh.com',
    'hmac-sha1-etm@openssh.com',
    'hmac-sha2-256',
    'hmac-sha2-512',
    'hmac-sha1',
  ],
  serverHostKey: ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'rsa-sha2-512', 'rsa-sha2-256'],
};

/**
 * What of the algorithms that ssh_config allows ssh2 can use, in that order; ciphers in the order of their speed in Node.
 * An empty list: there is none.
 */
export const usableAlgorithms = ({ kex, cipher, hmac, serverHostKey }: Destination['algorithms']): Destination['algorithms'] => {
  const kept = (name: keyof Destination['algorithms'], allowed: readonly string[]): readonly string[] =>
    allowed.filter((algorithm) => SUPPORTED[name].includes(algorithm));
  return {
    kex: kept('kex', kex),
    cipher: SUPPORTED.cipher.filter((name) => cipher.includes(name)),
    hmac: kept('hmac', hmac),
    serverHostKey: kept('serverHostKey', serverHostKey),
  };
};
