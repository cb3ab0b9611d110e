import type { Artifact, ArtifactId, Op, Repository, RingRef } from '@pipit/core';
import { expect } from 'vitest';
import { type Check, inWorld, notApplicable, registerChecks, type World } from './check.js';
import { abortedSignal, expectPlainJson, expectRefusal, thrownBy } from './expectations.js';

export interface RepositoryWorld<Options> extends World {
  /** A fresh instance over the same repository, as after a restart on another machine. */
  reopen(): Promise<Repository<Options>>;
  readonly options: Options;
  /** Two releases of one package name, not published yet. */
  readonly first: readonly Artifact[];
  readonly second: readonly Artifact[];
  /** The names and versions of {@link RepositoryWorld.first}, with other bytes. */
  readonly conflicting: readonly Artifact[];
  readonly ring: RingRef;
  readonly otherRing: RingRef;
  /** The context of an effect: an empty folder, and the file store that holds the artifacts' bytes. */
  createOp(options?: { readonly signal?: AbortSignal }): Promise<Op<'shell' | 'files'>>;
  /** The versions of the package that a host of this ring would be offered by its own package manager: read with the real client. */
  readOffered(ring: RingRef): Promise<readonly string[]>;
}

export interface RepositoryHarness<Options> {
  open(): Promise<RepositoryWorld<Options>>;
}

const idOf = ({ format, name, version, architecture, digest }: ArtifactId): ArtifactId => ({ format, name, version, architecture, digest });
const byPlace = (a: ArtifactId, b: ArtifactId): number => `${a.format} ${a.architecture}`.localeCompare(`${b.format} ${b.architecture}`);
const idsOf = (artifacts: readonly ArtifactId[]): readonly ArtifactId[] => artifacts.map(idOf).sort(byPlace);
const versionOf = ([artifact]: readonly Artifact[]): string => artifact?.version ?? expect.fail('the harness gave no artifact');

const steps = <Options>(world: RepositoryWorld<Options>) => {
  const { options } = world;
  return {
    find: async ([artifact]: readonly Artifact[]): Promise<readonly ArtifactId[]> => {
      if (artifact === undefined) return expect.fail('the harness gave no artifact');
      const found = await (await world.reopen()).find({ name: artifact.name, version: artifact.version, options }, await world.createOp());
      expectPlainJson(found, 'what find returns');
      return idsOf(found);
    },
    publish: async (artifacts: readonly Artifact[], signal?: AbortSignal): Promise<void> => {
      const op = await world.createOp(signal === undefined ? {} : { signal });
      await (await world.reopen()).publish({ artifacts, options }, op);
    },
    offer: async (ring: RingRef, artifacts: readonly Artifact[]): Promise<void> => {
      const repository = await world.reopen();
      if (repository.offer === undefined) notApplicable('it has no view for each ring');
      await repository.offer?.({ ring, artifacts: idsOf(artifacts), options }, await world.createOp());
    },
    remove: async (artifacts: readonly Artifact[]): Promise<void> => {
      const repository = await world.reopen();
      if (repository.remove === undefined) notApplicable('it removes nothing');
      await repository.remove?.({ artifacts: idsOf(artifacts), options }, await world.createOp());
    },
  };
};

/** What {@link Repository} promises, one check each. */
export const repositoryChecks = <Options>(): readonly Check<RepositoryHarness<Options>>[] => {
  type Steps = ReturnType<typeof steps<Options>>;
  const check = (name: string, run: (world: RepositoryWorld<Options>, by: Steps) => Promise<void>): Check<RepositoryHarness<Options>> => ({
    name,
    run: inWorld((world: RepositoryWorld<Options>) => run(world, steps(world))),
  });
  return [
    check('finds nothing before it is published', async ({ first }, { find }) => {
      expect(await find(first)).toEqual([]);
    }),
    check('finds in a fresh instance what was published, with the digests that hosts read', async ({ first }, { find, publish }) => {
      await publish(first);
      expect(await find(first)).toEqual(idsOf(first));
    }),
    check('publishes the same artifacts twice without harm', async ({ first }, { find, publish }) => {
      await publish(first);
      await publish(first);
      expect(await find(first)).toEqual(idsOf(first));
    }),
    check(
      'refuses other bytes under a published name, version and architecture, and keeps the first',
      async ({ first, conflicting }, { find, publish }) => {
        await publish(first);
        await expectRefusal(publish(conflicting), 'other bytes under a published version', {
          recovery: 'stop',
          code: 'REPOSITORY_DIGEST_CONFLICT',
        });
        expect(await find(first)).toEqual(idsOf(first));
      },
    ),
    check('keeps a version when another is published', async ({ first, second }, { find, publish }) => {
      await publish(first);
      await publish(second);
      expect(await find(first)).toEqual(idsOf(first));
      expect(await find(second)).toEqual(idsOf(second));
    }),
    check('shows what is published to no ring until it is offered', async ({ first, second, ring, readOffered }, { publish, offer }) => {
      await publish(first);
      await offer(ring, first);
      await publish(second);
      expect(await readOffered(ring)).toEqual([versionOf(first)]);
    }),
    check(
      'offers exactly one version to a ring, also when repeated, also an older one',
      async ({ first, second, ring, readOffered }, { publish, offer }) => {
        await publish(first);
        await publish(second);
        for (const offered of [first, second, second, first]) {
          await offer(ring, offered);
          expect(await readOffered(ring)).toEqual([versionOf(offered)]);
        }
      },
    ),
    check('offers to one ring without touching another', async ({ first, second, ring, otherRing, readOffered }, { publish, offer }) => {
      await publish(first);
      await publish(second);
      await offer(otherRing, first);
      await offer(ring, second);
      expect(await readOffered(otherRing)).toEqual([versionOf(first)]);
    }),
    check('refuses to offer what was never published', async (world, { offer }) => {
      if ((await world.reopen()).offer === undefined) notApplicable('it has no view for each ring');
      await expectRefusal(offer(world.ring, world.first), 'an offer of what was never published', { recovery: 'stop' });
    }),
    check('names one place to install from for each format, before anything is published too', async (world, { publish }) => {
      const formats = [...new Set((await world.reopen()).formats)].sort();
      const read = async (): Promise<readonly string[]> => {
        const sources = await (await world.reopen()).installSources({ ring: world.ring, options: world.options }, await world.createOp());
        return sources.map((source) => source.format).sort();
      };
      expect(formats.length).toBeGreaterThan(0);
      expect(await read()).toEqual(formats);
      await publish(world.first);
      expect(await read()).toEqual(formats);
    }),
    check('removes what is asked and no more, also twice', async ({ first, second }, { find, publish, remove }) => {
      await publish(first);
      await publish(second);
      await remove(first);
      await remove(first);
      expect(await find(first)).toEqual([]);
      expect(await find(second)).toEqual(idsOf(second));
    }),
    check('publishes nothing when its signal is aborted already', async ({ first }, { find, publish }) => {
      await thrownBy(publish(first, abortedSignal()), 'publishing with an aborted signal');
      expect(await find(first)).toEqual([]);
    }),
  ];
};

/** Registers a test for each promise of {@link Repository}. */
export const testRepository = <Options>(name: string, harness: RepositoryHarness<Options>): void =>
  registerChecks(`${name} as repository`, repositoryChecks<Options>(), harness);
