import { type Artifact, isPluginError, type Op, type PackageRequest, type Packager, parseDigest, parsePackageName } from '@pipit/core';
import { expect } from 'vitest';
import { createMemoryFileStore, type MemoryFileStore } from '../context/memory-file-store.js';
import { type Check, inWorld, registerChecks, type World } from './check.js';
import { abortedSignal, expectPlainJson, expectRefusal, thrownBy } from './expectations.js';

type PackagerServices = 'shell' | 'source' | 'files';

export interface PackagerWorld<Options> extends World {
  /** A fresh instance, as on another machine. */
  reopen(): Promise<Packager<Options>>;
  readonly good: PackageRequest<Options>;
  /** A request that cannot be packaged, through no fault of the machine: for example without a post-install script. */
  readonly bad: PackageRequest<Options>;
  /** The context for a request: a new, empty folder each time, and this file store. */
  createOp(options: {
    readonly request: PackageRequest<Options>;
    readonly files: MemoryFileStore;
    readonly signal?: AbortSignal;
  }): Promise<Op<PackagerServices>>;
}

export interface PackagerHarness<Options> {
  open(): Promise<PackagerWorld<Options>>;
}

/** Formats whose digest is the sha256 of the file that a host downloads. */
const FILE_FORMATS: readonly string[] = ['deb', 'rpm'];

const packageGood = async <Options>(world: PackagerWorld<Options>, files = createMemoryFileStore()): Promise<readonly Artifact[]> => {
  const packager = await world.reopen();
  return packager.package(world.good, await world.createOp({ request: world.good, files }));
};

/** What {@link Packager} promises, one check each. */
export const packagerChecks = <Options>(): readonly Check<PackagerHarness<Options>>[] => {
  const check = (name: string, run: (world: PackagerWorld<Options>) => Promise<void>): Check<PackagerHarness<Options>> => ({
    name,
    run: inWorld(run),
  });
  return [
    check('makes artifacts of its formats, with the name and version that were asked for', async (world) => {
      const { formats } = await world.reopen();
      const artifacts = await packageGood(world);
      expectPlainJson(artifacts, 'the artifacts');
      expect(artifacts.length).toBeGreaterThan(0);
      for (const artifact of artifacts) {
        expect(formats).toContain(artifact.format);
        expect(artifact.version).toBe(world.good.version);
        expect(parsePackageName(artifact.name)).toBe(artifact.name);
        expect(parseDigest(artifact.digest)).toBe(artifact.digest);
        expect(artifact.architecture).toMatch(/^[A-Za-z0-9][A-Za-z0-9_/-]*$/);
      }
    }),
    check('makes at most one artifact a format and architecture', async (world) => {
      const places = (await packageGood(world)).map(({ format, architecture }) => `${format} ${architecture}`);
      expect(new Set(places).size).toBe(places.length);
    }),
    check('leaves the bytes in the file store, under the digest that a host will check', async (world) => {
      const files = createMemoryFileStore();
      for (const { content, format, digest } of await packageGood(world, files)) {
        if ('reference' in content) {
          expect(FILE_FORMATS, 'a file that hosts download passes through the file store').not.toContain(format);
          continue;
        }
        expect((await files.readBytes(content)).byteLength).toBe(content.size);
        if (FILE_FORMATS.includes(format)) expect(digest).toBe(content.sha256);
      }
    }),
    check('makes the same bytes twice, in another folder and a fresh instance', async (world) => {
      expect(await packageGood(world)).toEqual(await packageGood(world));
    }),
    check('refuses what cannot be packaged, in words, and for good', async (world) => {
      const packager = await world.reopen();
      const op = await world.createOp({ request: world.bad, files: createMemoryFileStore() });
      await expectRefusal(packager.package(world.bad, op), 'a request that cannot be packaged', { recovery: 'stop' });
    }),
    check('ends with an error when its signal is aborted already', async (world) => {
      const packager = await world.reopen();
      const op = await world.createOp({ request: world.good, files: createMemoryFileStore(), signal: abortedSignal() });
      const error = await thrownBy(packager.package(world.good, op), 'packaging with an aborted signal');
      if (isPluginError(error)) expect(error.recovery, 'an aborted call may be made again').not.toBe('stop');
    }),
  ];
};

/** Registers a test for each promise of {@link Packager}. */
export const testPackager = <Options>(name: string, harness: PackagerHarness<Options>): void =>
  registerChecks(`${name} as packager`, packagerChecks<Options>(), harness);
