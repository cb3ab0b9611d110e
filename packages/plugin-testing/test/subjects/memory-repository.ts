import { type Artifact, type ArtifactId, PluginError, type Repository, type RingRef } from '@pipit/core';
import { createMemoryFileStore, createTemporaryFolder, createTestOp, createTestShell, type RepositoryHarness } from '../../src/index.js';
import { artifactOf, ringRef } from './requests.js';

type Options = Readonly<Record<string, never>>;

export type RepositoryFault =
  | 'finds what was never published'
  | 'finds a digest of its own'
  | 'publishes twice'
  | 'takes other bytes'
  | 'keeps one version'
  | 'shows at once'
  | 'shows every version'
  | 'has one view'
  | 'offers what it has not'
  | 'forgets a format'
  | 'removes everything'
  | 'publishes although it is aborted';

interface Shelf {
  published: ArtifactId[];
  readonly offered: Map<string, readonly ArtifactId[]>;
}

const idOf = ({ format, name, version, architecture, digest }: ArtifactId): ArtifactId => ({ format, name, version, architecture, digest });
const isSamePlace = (a: ArtifactId, b: ArtifactId): boolean =>
  a.name === b.name && a.version === b.version && a.architecture === b.architecture;
const viewOf = (ring: RingRef, fault: RepositoryFault | undefined): string => (fault === 'has one view' ? 'all' : ring.ring);

const createMemoryRepository = (shelf: Shelf, fault: RepositoryFault | undefined): Repository<Options> => ({
  formats: ['deb'],
  find: async ({ name, version }) => {
    if (fault === 'finds what was never published' && shelf.published.length === 0) return [idOf(artifactOf(version, 'first'))];
    const found = shelf.published.filter((artifact) => artifact.name === name && artifact.version === version);
    return fault === 'finds a digest of its own'
      ? found.map((artifact) => ({ ...artifact, digest: `sha256:${'0'.repeat(64)}` as const }))
      : found;
  },
  publish: async ({ artifacts }, op) => {
    if (fault !== 'publishes although it is aborted') op.signal.throwIfAborted();
    for (const artifact of artifacts) {
      const known = shelf.published.find((other) => isSamePlace(other, artifact));
      if (known !== undefined && known.digest !== artifact.digest && fault !== 'takes other bytes')
        throw new PluginError({
          code: 'REPOSITORY_DIGEST_CONFLICT',
          message: `${known.digest} is published, not ${artifact.digest}`,
          recovery: 'stop',
        });
      const others = shelf.published.filter(
        (other) => fault === 'publishes twice' || (!isSamePlace(other, artifact) && fault !== 'keeps one version'),
      );
      shelf.published = [...others, idOf(artifact)];
      if (fault === 'shows at once') for (const view of shelf.offered.keys()) shelf.offered.set(view, [artifact]);
    }
  },
  installSources: async () =>
    fault === 'forgets a format' ? [] : [{ format: 'deb', uris: ['file:/srv'], suite: 'web', components: ['main'], keys: [] }],
  offer: async ({ ring, artifacts }) => {
    for (const artifact of artifacts)
      if (fault !== 'offers what it has not' && !shelf.published.some((other) => isSamePlace(other, artifact)))
        throw new PluginError({ code: 'MEMORY_NOT_PUBLISHED', message: `${artifact.version} is not published`, recovery: 'stop' });
    const before = fault === 'shows every version' ? (shelf.offered.get(viewOf(ring, fault)) ?? []) : [];
    shelf.offered.set(viewOf(ring, fault), [...before, ...artifacts]);
  },
  remove: async ({ artifacts }) => {
    shelf.published =
      fault === 'removes everything' ? [] : shelf.published.filter((known) => !artifacts.some((artifact) => isSamePlace(known, artifact)));
  },
});

/** A repository that is a list in memory. */
export const memoryRepositoryHarness = (fault?: RepositoryFault): RepositoryHarness<Options> => ({
  open: async () => {
    const shelf: Shelf = { published: [], offered: new Map() };
    const folder = await createTemporaryFolder();
    const release = (version: string, text: string): readonly Artifact[] => [artifactOf(version, text)];
    return {
      options: {},
      first: release('1', 'first'),
      second: release('2', 'second'),
      conflicting: release('1', 'other'),
      ring: ringRef('canary'),
      otherRing: ringRef('production'),
      reopen: async () => createMemoryRepository(shelf, fault),
      createOp: async ({ signal } = {}) =>
        createTestOp({ shell: createTestShell(folder.path), files: createMemoryFileStore(), ...(signal === undefined ? {} : { signal }) }),
      readOffered: async (ring) => (shelf.offered.get(viewOf(ring, fault)) ?? []).map((artifact) => artifact.version),
      close: () => folder.remove(),
    };
  },
});
