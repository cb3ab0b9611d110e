import type { Secret } from '../secret.js';

/** How a repository is read: a user name and password (or token) over https, or a key over ssh. */
export type Credentials =
  | { readonly username: string; readonly password: Secret }
  | {
      readonly privateKey: Secret;
      /** Lines of an OpenSSH known_hosts file. */
      readonly knownHosts: string;
    };
