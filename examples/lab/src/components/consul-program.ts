import { join } from 'node:path';
import { unpackDebianPackage } from './debian-package.js';

/**
 * Path of a real Consul (1.8.7, Debian 11's package: the last that Debian has), downloaded once a machine.
 * @throws Error when it cannot be had; the message says what to do.
 */
export const consulProgram = async (options: { readonly cache?: string; readonly signal?: AbortSignal } = {}): Promise<string> =>
  join(
    await unpackDebianPackage({
      name: 'consul',
      suite: 'bullseye',
      otherwise: 'Debian 11 has left the mirror. Install Consul as its makers say, and give its path as `program`.',
      ...options,
    }),
    'usr/bin/consul',
  );
