import { createHash } from 'node:crypto';
import type { ArtifactId } from '@pipit/core';

/** The snapshot that holds just these packages for a suite: the same packages give the same name, so that an offer can be repeated. */
export const ringSnapshot = (suite: string, artifacts: readonly ArtifactId[]): string => {
  const ids = artifacts.map(({ name, version, architecture, digest }) => `${name} ${version} ${architecture} ${digest}`).sort();
  return `${suite}-${createHash('sha256').update(ids.join('\n')).digest('hex').slice(0, 12)}`;
};

/** Whether a snapshot was made for this suite. */
export const isSnapshotOf = (suite: string, snapshot: string): boolean =>
  snapshot.startsWith(`${suite}-`) && /^[0-9a-f]{12}(?:\.source)?$/.test(snapshot.slice(suite.length + 1));
