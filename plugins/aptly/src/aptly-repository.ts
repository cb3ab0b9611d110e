import { type ArtifactId, type Logger, type Op, PluginError, type Repository } from '@pipit/core';
import {
  artifactMissing,
  artifactOffered,
  digestConflict,
  type IndexedPackage,
  notVerified,
  PUBLISHED_SUITE,
  readSuite,
  ringSuite,
  type SuiteState,
  sameDebPlace,
  signatureBroken,
  stageDeb,
  withoutPath,
} from '@pipit/plugin-kit';
import { packageRef } from './aptly.js';
import { publishedUrl, type Session, withAptly } from './aptly-session.js';
import type { AptlyConfig } from './config.js';
import { oldestVersions } from './oldest-versions.js';
import { isSnapshotOf, ringSnapshot } from './ring-snapshot.js';

export interface AptlyRepositoryOptions {
  readonly config: AptlyConfig;
  readonly logger: Logger;
  /** Told what is known after a call, for `pipit doctor`. */
  remember(known: { readonly suites: readonly string[]; readonly keys: readonly string[] }): Promise<void>;
}

const sameBytes = (one: ArtifactId, other: ArtifactId): boolean => sameDebPlace(one, other) && one.digest === other.digest;
const holdsAll = (packages: readonly ArtifactId[], wanted: readonly ArtifactId[]): boolean =>
  wanted.every((artifact) => packages.some((listed) => sameBytes(listed, artifact)));

/** What a call does at the place, with the suites read as hosts read them. */
const openSuites = (session: Session, { shell }: Op<'shell'>) => {
  const { tree, keys } = session;
  const look = (suite: string): Promise<SuiteState> => readSuite({ tree, suite, keys, shell });
  return {
    look,
    /** The packages that hosts see; none where there is no such suite. */
    async read(suite: string): Promise<readonly IndexedPackage[]> {
      const found = await look(suite);
      if (found.state === 'broken') throw signatureBroken(tree.place, suite, found.raw);
      return found.state === 'missing' ? [] : found.packages;
    },
    /** What any ring is offered. The signature does not matter here: what stands there must stay. */
    async readOffered(): Promise<readonly IndexedPackage[]> {
      const offered: IndexedPackage[] = [];
      for (const { distribution } of await session.aptly.listPublications()) {
        if (distribution === PUBLISHED_SUITE) continue;
        const found = await readSuite({ tree, suite: distribution, shell });
        if (found.state === 'readable') offered.push(...found.packages);
      }
      return offered;
    },
  };
};

/** An APT repository that aptly keeps: a local repository with every version, published where no ring looks, and a published snapshot for each ring. */
export const createAptlyRepository = <Options>({ config, logger, remember }: AptlyRepositoryOptions): Repository<Options> => {
  const { architectures, keepVersions } = config;

  const refuseArchitecture = ({ name, version, architecture }: ArtifactId): void => {
    if (architecture === 'all' || architectures.includes(architecture)) return;
    throw new PluginError({
      code: 'APTLY_ARCHITECTURE_NOT_PUBLISHED',
      message: `${name} ${version} is for ${architecture}, but the repository is published for ${architectures.join(', ')}`,
      hint: `Add ${architecture} to the config's \`architectures\`.`,
      recovery: 'stop',
    });
  };

  /** Published anew where the config has grown an architecture: an update keeps those of the first time. */
  const isPublishedForAll = (found: SuiteState): boolean =>
    found.state !== 'readable' || architectures.every((architecture) => found.architectures.includes(architecture));

  const publishedNames = async ({ aptly }: Session): Promise<readonly string[]> =>
    (await aptly.listPublications()).map(({ distribution }) => distribution);

  const updatePublished = async (session: Session, found: SuiteState): Promise<void> => {
    const { aptly } = session;
    const isThere = (await publishedNames(session)).includes(PUBLISHED_SUITE);
    if (isThere && isPublishedForAll(found)) return aptly.updateRepo(PUBLISHED_SUITE);
    if (isThere) await aptly.dropPublication(PUBLISHED_SUITE);
    return aptly.publishRepo({ distribution: PUBLISHED_SUITE, architectures });
  };

  /** Removes what is beyond `keepVersions`; what a ring is offered and what was just published stays. */
  const dropOldest = async (
    session: Session,
    published: readonly ArtifactId[],
    added: readonly ArtifactId[],
    offered: readonly ArtifactId[],
  ): Promise<readonly ArtifactId[]> => {
    const dropped: ArtifactId[] = [];
    for (const name of new Set(added.map((artifact) => artifact.name))) {
      const ofName = (ids: readonly ArtifactId[]) => ids.filter((artifact) => artifact.name === name);
      const protect = new Set([...ofName(added), ...ofName(offered)].map(({ version }) => version));
      const all = ofName([...published, ...added]);
      const versions = oldestVersions({ versions: all.map(({ version }) => version), keep: keepVersions, protect });
      dropped.push(...ofName(published).filter(({ version }) => versions.includes(version)));
    }
    if (dropped.length > 0) {
      await session.aptly.removePackages(dropped.map(packageRef));
      logger.info({ packages: dropped.map(packageRef) }, 'Packages beyond keepVersions removed');
    }
    return dropped;
  };

  return {
    formats: ['deb'],

    find: ({ name, version }, op) =>
      withAptly(config, op, async (session) => {
        const published = await openSuites(session, op).read(PUBLISHED_SUITE);
        return published.filter((listed) => listed.name === name && listed.version === version).map(withoutPath);
      }),

    publish: ({ artifacts }, op) =>
      withAptly(config, op, async (session) => {
        const { aptly, tree } = session;
        const suites = openSuites(session, op);
        artifacts.forEach(refuseArchitecture);
        const before = await suites.look(PUBLISHED_SUITE);
        if (before.state === 'broken') throw signatureBroken(tree.place, PUBLISHED_SUITE, before.raw);
        const published = before.state === 'readable' ? before.packages : [];
        const added = artifacts.filter((artifact) => {
          const listed = published.find((entry) => sameDebPlace(entry, artifact));
          if (listed !== undefined && listed.digest !== artifact.digest) throw digestConflict(artifact, listed.digest);
          return listed === undefined;
        });
        if (added.length === 0) return;
        const paths: string[] = [];
        for (const artifact of added) paths.push(await stageDeb(artifact, op));
        await aptly.ensureRepo();
        // What no index lists was left by a publish that never ended: nobody has seen it, and it may have other bytes.
        await aptly.removePackages(added.map(packageRef));
        for (const path of paths) await aptly.addPackage(path);
        const dropped = await dropOldest(session, published, added, await suites.readOffered());
        op.report({ message: `aptly publishes ${added.map(packageRef).join(', ')}` });
        await updatePublished(session, before);
        const after = await suites.read(PUBLISHED_SUITE);
        if (!holdsAll(after, artifacts)) throw notVerified(PUBLISHED_SUITE, artifacts, after);
        if (dropped.length > 0) await aptly.cleanUp();
        await remember({ suites: [PUBLISHED_SUITE], keys: session.keys });
      }),

    offer: ({ ring, artifacts }, op) =>
      withAptly(config, op, async (session) => {
        const { aptly } = session;
        const suites = openSuites(session, op);
        const suite = ringSuite(ring);
        const published = await suites.read(PUBLISHED_SUITE);
        for (const artifact of artifacts) {
          const listed = published.find((entry) => sameDebPlace(entry, artifact));
          if (listed === undefined) throw artifactMissing(artifact, suite);
          if (listed.digest !== artifact.digest) throw digestConflict(artifact, listed.digest);
        }
        const shows = (found: SuiteState): boolean =>
          found.state === 'readable' && found.packages.length === artifacts.length && holdsAll(found.packages, artifacts);
        const before = await suites.look(suite);
        if (shows(before) && isPublishedForAll(before)) return remember({ suites: [suite], keys: session.keys });
        const snapshot = ringSnapshot(suite, artifacts);
        if (!(await aptly.listSnapshots()).includes(snapshot)) await aptly.createSnapshot(snapshot, artifacts.map(packageRef));
        const isThere = (await publishedNames(session)).includes(suite);
        if (isThere && isPublishedForAll(before)) await aptly.switchSnapshot(suite, snapshot);
        else {
          if (isThere) await aptly.dropPublication(suite);
          await aptly.publishSnapshot({ distribution: suite, architectures, snapshot });
        }
        const after = await suites.look(suite);
        if (after.state === 'broken') throw signatureBroken(session.tree.place, suite, after.raw);
        if (!shows(after)) throw notVerified(suite, artifacts, after.state === 'readable' ? after.packages : []);
        for (const old of await aptly.listSnapshots()) if (old !== snapshot && isSnapshotOf(suite, old)) await aptly.dropSnapshot(old);
        await remember({ suites: [suite], keys: session.keys });
      }),

    installSources: async ({ ring }, op) => {
      const keys = config.publicKeys ?? (await withAptly(config, op, async (session) => session.keys));
      await remember({ suites: [], keys });
      return [{ format: 'deb', uris: [publishedUrl(config)], suite: ringSuite(ring), components: ['main'], keys }];
    },

    remove: ({ artifacts }, op) =>
      withAptly(config, op, async (session) => {
        const suites = openSuites(session, op);
        const offered = await suites.readOffered();
        const stillOffered = artifacts.find((artifact) => offered.some((entry) => sameDebPlace(entry, artifact)));
        if (stillOffered !== undefined) throw artifactOffered(stillOffered);
        const before = await suites.look(PUBLISHED_SUITE);
        const published = await suites.read(PUBLISHED_SUITE);
        const listed = artifacts.filter((artifact) => published.some((entry) => sameDebPlace(entry, artifact)));
        if (listed.length === 0) return;
        await session.aptly.removePackages(listed.map(packageRef));
        await updatePublished(session, before);
        const after = await suites.read(PUBLISHED_SUITE);
        const left = after.filter((entry) => listed.some((artifact) => sameDebPlace(entry, artifact)));
        if (left.length > 0) throw notVerified(PUBLISHED_SUITE, [], left);
        await session.aptly.cleanUp();
      }),
  };
};
