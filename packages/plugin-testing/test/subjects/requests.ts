import { createHash } from 'node:crypto';
import {
  type Artifact,
  type Commit,
  type Host,
  parseAppName,
  parseCommitSha,
  parseDigest,
  parseHostAddress,
  parsePackageName,
  parsePackageVersion,
  parseRingName,
  parseRoleName,
  type RingRef,
} from '@pipit/core';

export const APP = parseAppName('web');

export const COMMIT: Commit = {
  repository: { id: '42', name: 'acme/web', url: 'https://example.org/acme/web.git' },
  sha: parseCommitSha('a'.repeat(40)),
  committedAt: '2026-01-01T00:00:00.000Z',
};

export const ringRef = (ring: string): RingRef => ({ app: APP, role: parseRoleName('app'), ring: parseRingName(ring) });

export const hostOf = (id: string): Host => ({ id, address: parseHostAddress(`${id}.example.org`), available: true, attributes: {} });

/** An artifact whose bytes are a text. */
export const artifactOf = (version: string, text: string): Artifact => {
  const digest = parseDigest(`sha256:${createHash('sha256').update(text).digest('hex')}`);
  return {
    format: 'deb',
    name: parsePackageName('web'),
    version: parsePackageVersion(version),
    architecture: 'all',
    digest,
    content: { sha256: digest, size: text.length },
  };
};
