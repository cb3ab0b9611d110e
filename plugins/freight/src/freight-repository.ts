import { type ArtifactId, type Logger, type Op, PluginError, type Repository, type RingRef } from '@pipit/core';
import {
  artifactMissing,
  artifactOffered,
  debFileName,
  digestConflict,
  type IndexedPackage,
  notVerified,
  readSuite,
  ringSuite,
  type SuiteState,
  sameDebPlace,
  signatureBroken,
  stageDeb,
  withoutPath,
} from '@pipit/plugin-kit';
import type { FreightConfig } from './config.js';
import { publishedUrl, type Session, withFreight } from './freight-session.js';

export interface FreightRepositoryOptions {
  readonly config: FreightConfig;
  readonly logger: Logger;
  /** Told what is known after a call, for `pipit doctor`. */
  remember(known: { readonly suites: readonly string[]; readonly keys: readonly string[]; readonly url: string }): Promise<void>;
}

const sameBytes = (one: ArtifactId, other: ArtifactId): boolean => sameDebPlace(one, other) && one.digest === other.digest;
const holdsAll = (packages: readonly ArtifactId[], wanted: readonly ArtifactId[]): boolean =>
  wanted.every((artifact) => packages.some((listed) => sameBytes(listed, artifact)));

const packagesOf = (session: Session, suite: string, found: SuiteState): readonly IndexedPackage[] => {
  if (found.state === 'broken') throw signatureBroken(session.tree.place, suite, found.raw);
  return found.state === 'missing' ? [] : found.packages;
};

const look = ({ tree, keys }: Session, suite: string, { shell }: Op<'shell'>): Promise<SuiteState> =>
  readSuite({ tree, suite, keys, shell });

const read = async (session: Session, suite: string, op: Op<'shell'>): Promise<readonly IndexedPackage[]> =>
  packagesOf(session, suite, await look(session, suite, op));

/** Puts a file into a distribution of the library, and looks at its bytes: Freight says 0 also when it kept others. */
const addExactly = async ({ freight, library }: Session, path: string, distribution: string, artifact: ArtifactId): Promise<void> => {
  const target = library.pathOf(distribution, debFileName(artifact));
  const there = await library.digest(target);
  if (there === artifact.digest) return;
  // What no index lists was left by a call that never ended: nobody has seen it.
  if (there !== undefined) await library.remove([target]);
  await freight.add(path, distribution);
  const found = await library.digest(target);
  if (found !== artifact.digest)
    throw new PluginError({
      code: 'FREIGHT_NOT_ADDED',
      message: `freight add ended well, but ${target} ${found === undefined ? 'is not there' : `has other bytes: ${found}`}`,
      hint: "Look whether somebody else adds to the same distribution, and at VARLIB's disk.",
      recovery: 'reconcile',
    });
};

/** Makes the tree that hosts read, and removes first from the pool what has the name of one of these packages and other bytes. */
const cacheExactly = async (session: Session, suite: string, artifacts: readonly ArtifactId[], op: Op<'shell'>) => {
  const { freight, library, conf } = session;
  await library.sweep(suite);
  await freight.cache(suite);
  const stale: string[] = [];
  const listed = await read(session, suite, op);
  for (const artifact of artifacts) {
    const entry = listed.find((candidate) => sameBytes(candidate, artifact));
    if (entry === undefined) continue;
    const path = `${conf.varcache}/${entry.path}`;
    if ((await library.digest(path)) !== artifact.digest) stale.push(path);
  }
  if (stale.length === 0) return listed;
  // Freight links a package into its pool only where no file of that name is, so an old one would be served under the new digest.
  await library.remove(stale);
  await freight.cache(suite);
  return read(session, suite, op);
};

/** An APT repository that Freight keeps: a distribution with every version that no host reads, and one for each ring. */
export const createFreightRepository = <Options>({ config, logger, remember }: FreightRepositoryOptions): Repository<Options> => {
  const { published, prefix, keepVersions } = config;
  const distributionOf = (ring: RingRef): string => `${prefix}${ringSuite(ring)}`;

  const tell = (session: Session, suites: readonly string[]) =>
    remember({ suites, keys: session.keys, url: publishedUrl(config, session.conf.varcache) });

  const refuseArchitecture = ({ conf }: Session, { name, version, architecture }: ArtifactId): void => {
    if (architecture === 'all' || conf.architectures.includes(architecture)) return;
    throw new PluginError({
      code: 'FREIGHT_ARCHITECTURE_NOT_PUBLISHED',
      message: `${name} ${version} is for ${architecture}, but Freight publishes ${conf.architectures.join(', ')}`,
      hint: `Add ${architecture} to the config's \`architectures\`, or to ARCHS of ${conf.path}.`,
      recovery: 'stop',
    });
  };

  /** What any distribution but `published` lists. The signature does not matter here: what stands there must stay. */
  const readOffered = async ({ library, tree }: Session, { shell }: Op<'shell'>): Promise<readonly IndexedPackage[]> => {
    const offered: IndexedPackage[] = [];
    for (const suite of await library.distributions()) {
      if (suite === published) continue;
      const found = await readSuite({ tree, suite, shell });
      if (found.state === 'readable') offered.push(...found.packages);
    }
    return offered;
  };

  /** Takes from the library what is beyond `keepVersions`: the first added go first, what a ring is offered and what was just added stays. */
  const dropOldest = async (session: Session, added: readonly ArtifactId[], op: Op<'shell'>): Promise<void> => {
    const files = await session.library.list(published);
    const offered = await readOffered(session, op);
    const versionOf = (file: string) => file.split('_')[1] ?? '';
    const dropped: string[] = [];
    for (const name of new Set(added.map((artifact) => artifact.name))) {
      const ofName = files.filter((file) => file.name.startsWith(`${name}_`));
      const newestFirst = [...new Set([...ofName].sort((one, other) => other.addedAt - one.addedAt).map((file) => versionOf(file.name)))];
      const kept = new Set([...added, ...offered].filter((artifact) => artifact.name === name).map(({ version }) => String(version)));
      const old = newestFirst.slice(keepVersions).filter((version) => !kept.has(version));
      dropped.push(...ofName.filter((file) => old.includes(versionOf(file.name))).map((file) => file.name));
    }
    await session.library.remove(dropped.map((file) => session.library.pathOf(published, file)));
    if (dropped.length > 0) logger.info({ packages: dropped }, 'Packages beyond keepVersions removed');
  };

  return {
    formats: ['deb'],

    find: ({ name, version }, op) =>
      withFreight(config, op, async (session) => {
        const listed = await read(session, published, op);
        return listed.filter((entry) => entry.name === name && entry.version === version).map(withoutPath);
      }),

    publish: ({ artifacts }, op) =>
      withFreight(config, op, async (session) => {
        for (const artifact of artifacts) refuseArchitecture(session, artifact);
        const before = await read(session, published, op);
        const added = artifacts.filter((artifact) => {
          const listed = before.find((entry) => sameDebPlace(entry, artifact));
          if (listed !== undefined && listed.digest !== artifact.digest) throw digestConflict(artifact, listed.digest);
          return listed === undefined;
        });
        if (added.length === 0) return;
        for (const artifact of added) await addExactly(session, await stageDeb(artifact, op), published, artifact);
        await dropOldest(session, added, op);
        op.report({ message: `Freight publishes ${added.map(debFileName).join(', ')}` });
        const after = await cacheExactly(session, published, artifacts, op);
        if (!holdsAll(after, artifacts)) throw notVerified(published, artifacts, after);
        await tell(session, [published]);
      }),

    offer: ({ ring, artifacts }, op) =>
      withFreight(config, op, async (session) => {
        const { library } = session;
        const suite = distributionOf(ring);
        const listed = await read(session, published, op);
        for (const artifact of artifacts) {
          const entry = listed.find((candidate) => sameDebPlace(candidate, artifact));
          if (entry === undefined) throw artifactMissing(artifact, suite);
          if (entry.digest !== artifact.digest) throw digestConflict(artifact, entry.digest);
          const found = await library.digest(library.pathOf(published, debFileName(artifact)));
          if (found === undefined) throw artifactMissing(artifact, suite);
          if (found !== artifact.digest) throw digestConflict(artifact, found);
        }
        const isShown = (packages: readonly ArtifactId[]) => packages.length === artifacts.length && holdsAll(packages, artifacts);
        const before = await look(session, suite, op);
        if (before.state === 'readable' && isShown(before.packages)) return tell(session, [suite]);
        // Nothing of this is seen before the distribution's link is switched.
        for (const artifact of artifacts) await addExactly(session, library.pathOf(published, debFileName(artifact)), suite, artifact);
        const wanted = new Set(artifacts.map(debFileName));
        const others = (await library.list(suite)).filter((file) => !wanted.has(file.name));
        await library.remove(others.map((file) => library.pathOf(suite, file.name)));
        const after = await cacheExactly(session, suite, artifacts, op);
        if (!isShown(after)) throw notVerified(suite, artifacts, after);
        await tell(session, [suite]);
      }),

    installSources: ({ ring }, op) =>
      withFreight(config, op, async (session) => {
        await tell(session, []);
        const uris = [publishedUrl(config, session.conf.varcache)];
        return [{ format: 'deb' as const, uris, suite: distributionOf(ring), components: ['main'], keys: session.keys }];
      }),

    remove: ({ artifacts }, op) =>
      withFreight(config, op, async (session) => {
        const { library } = session;
        const offered = await readOffered(session, op);
        const stillOffered = artifacts.find((artifact) => offered.some((entry) => sameDebPlace(entry, artifact)));
        if (stillOffered !== undefined) throw artifactOffered(stillOffered);
        const isListed = (packages: readonly ArtifactId[]) =>
          artifacts.filter((artifact) => packages.some((entry) => sameDebPlace(entry, artifact)));
        await library.remove(artifacts.map((artifact) => library.pathOf(published, debFileName(artifact))));
        if (isListed(await read(session, published, op)).length === 0) return;
        const after = await cacheExactly(session, published, [], op);
        const left = isListed(after);
        if (left.length > 0) throw notVerified(published, [], left);
      }),
  };
};
