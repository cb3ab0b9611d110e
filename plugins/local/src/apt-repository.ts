import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { arch } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { type ArtifactId, type Call, type HealthFinding, type Logger, type Op, PluginError, type Repository } from '@pipit/core';
import {
  findProgram,
  type IndexedPackage,
  minimalEnvironment,
  PUBLISHED_SUITE,
  ringSuite,
  runCommand,
  withoutPath,
} from '@pipit/plugin-kit';
import { listSuites, readSuite } from './apt-repository-index.js';
import { createSigningKey } from './apt-repository-key.js';
import { conflict, createStaging, digestOf } from './apt-repository-staging.js';
import { makeReadable, publishView } from './apt-repository-view.js';
import { withFolderLock } from './folder-lock.js';

export interface AptRepositoryOptions {
  /** The instance's private folder (`Setup.folder`). The repository is `<folder>/apt`, its key's home `<folder>/gnupg`. */
  readonly folder: string;
  readonly logger: Logger;
  /**
   * Config field `keepVersions`: how many versions of a package stay published, besides those that a ring is offered; the oldest go first.
   * Default 50.
   */
  readonly keepVersions?: number;
  /** Config field `architectures`: of the hosts, in Debian's words. Default: this machine's. Those of published packages are added. */
  readonly architectures?: readonly string[];
  /** Config field `url`: where hosts reach `<folder>/apt`. Default: a `file:` address, for hosts on this machine. */
  readonly url?: string;
}

/** Debian's words for what Node calls this machine. */
const DEBIAN_ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  arm64: 'arm64',
  arm: 'armhf',
  ia32: 'i386',
  ppc64: 'ppc64el',
};

export const machineArchitecture = (): string => DEBIAN_ARCHITECTURES[arch()] ?? arch();

/** Each package file has a folder of its own, so that apt-ftparchive can be asked for just that one. */
const poolPath = ({ name, version, architecture }: ArtifactId): string =>
  join('pool', name, version, architecture, `${name}_${version}_${architecture}.deb`);

const sameBytes = (one: ArtifactId, other: ArtifactId): boolean =>
  one.name === other.name && one.version === other.version && one.architecture === other.architecture && one.digest === other.digest;

/**
 * A signed APT repository on disk, made by apt-ftparchive and gpg. Suite `published` lists every package; each ring has a suite that lists
 * only what it is offered, so that nothing a package manager does by itself brings in more. Whatever is read, is read from the files that
 * hosts read. One call at a time over all processes of this machine.
 *
 * Errors: `REPOSITORY_DIGEST_CONFLICT`, `REPOSITORY_ARTIFACT_MISMATCH`, `REPOSITORY_ARTIFACT_MISSING`, `REPOSITORY_CONTENT_ELSEWHERE`,
 * `REPOSITORY_ARTIFACT_OFFERED` (stop), `REPOSITORY_INDEX_FAILED`, `REPOSITORY_SIGNING_FAILED`, `LOCAL_LOCK_TIMEOUT` (retry).
 */
export const createAptRepository = <Options>(
  options: AptRepositoryOptions,
): Repository<Options> & {
  offer: NonNullable<Repository<Options>['offer']>;
  remove: NonNullable<Repository<Options>['remove']>;
  checkHealth(call: Call): Promise<readonly HealthFinding[]>;
  dispose(): Promise<void>;
} => {
  const { folder, logger, keepVersions = 50 } = options;
  const repository = join(folder, 'apt');
  const staging = createStaging(join(folder, 'incoming'));
  const key = createSigningKey(join(folder, 'gnupg'));

  const withLock = <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> =>
    withFolderLock({ path: join(folder, 'apt.lock'), signal }, async () => {
      // Under the lock whatever is there belongs to a call that was killed. An earlier pipit kept it in the served folder.
      await staging.clear();
      await rm(join(repository, 'tmp'), { recursive: true, force: true });
      await makeFoldersReadable(signal);
      await key.ensure(signal);
      try {
        return await work();
      } finally {
        await staging.clear();
      }
    });

  const makeFoldersReadable = async (signal: AbortSignal): Promise<void> => {
    const folders = ['', 'dists', 'views', 'pool'].map((name) => join(repository, name));
    for (const path of folders) await mkdir(path, { recursive: true });
    await runCommand(['chmod', '0755', '--', ...folders], { cwd: '/', env: minimalEnvironment('/'), signal });
  };

  const hostArchitectures = (packages: readonly { readonly architecture: string }[]): readonly string[] =>
    [...new Set([...(options.architectures ?? [machineArchitecture()]), ...packages.map(({ architecture }) => architecture)])]
      .filter((architecture) => architecture !== 'all')
      .sort();

  const publishSuite = (
    suite: string,
    packages: readonly { readonly path: string; readonly architecture: string }[],
    signal: AbortSignal,
  ) => publishView({ repositoryFolder: repository, suite, packages, architectures: hostArchitectures(packages), key, signal });

  const offeredPaths = async (): Promise<ReadonlySet<string>> => {
    const suites = (await listSuites(repository)).filter((suite) => suite !== PUBLISHED_SUITE);
    return new Set((await Promise.all(suites.map((suite) => readSuite(repository, suite)))).flat().map(({ path }) => path));
  };

  /** The published packages without the oldest versions beyond the limit of those packages' names. What a ring is offered always stays. */
  const withoutOldest = async (entries: readonly PoolFile[], names: ReadonlySet<string>): Promise<readonly PoolFile[]> => {
    const offered = await offeredPaths();
    const dropped = new Set<string>();
    for (const name of names) {
      const files = entries.filter((entry) => entry.path.startsWith(`pool/${name}/`));
      const at = new Map<string, number>();
      for (const { path } of files) {
        const version = dirname(dirname(path));
        // A file that somebody deleted is the first to go.
        const modified = (await stat(join(repository, path)).catch(() => undefined))?.mtimeMs ?? 0;
        at.set(version, Math.max(at.get(version) ?? 0, modified));
      }
      const newestFirst = [...at.keys()].sort((one, other) => (at.get(other) ?? 0) - (at.get(one) ?? 0));
      for (const version of newestFirst.slice(keepVersions))
        if (![...offered].some((path) => path.startsWith(`${version}/`))) dropped.add(version);
    }
    return entries.filter((entry) => !dropped.has(dirname(dirname(entry.path))));
  };

  /** Removes pool files that no suite lists: what retention and `remove` dropped, and what an interrupted publish left. */
  const sweepPool = async (listed: readonly PoolFile[]): Promise<void> => {
    const wanted = new Set([...listed.map(({ path }) => path), ...(await offeredPaths())]);
    for (const path of await listPool(repository)) {
      if (wanted.has(path)) continue;
      await rm(join(repository, path), { force: true });
      logger.info({ path }, 'Package file removed from the pool');
      // Emptied folders go too; one that still holds something refuses.
      for (let parent = dirname(path); parent !== 'pool'; parent = dirname(parent))
        if ((await readdir(join(repository, parent))).length === 0) await rm(join(repository, parent), { recursive: true });
    }
  };

  const listAdded = async ({ published, added, artifacts, op }: Publishing): Promise<void> => {
    if (added.length === 0) return;
    op.report({ message: `Indexing ${added.length} new package${added.length === 1 ? '' : 's'}` });
    const names = new Set(artifacts.map(({ name }) => name));
    const kept = await withoutOldest([...published, ...added], names);
    await publishSuite(PUBLISHED_SUITE, kept, op.signal);
    await sweepPool(kept);
  };

  return {
    formats: ['deb'],

    async find({ name, version }) {
      const entries = await readSuite(repository, PUBLISHED_SUITE);
      return entries.filter((entry) => entry.name === name && entry.version === version).map(withoutPath);
    },

    async publish({ artifacts }, op) {
      await withLock(op.signal, async () => {
        const published = await readSuite(repository, PUBLISHED_SUITE);
        const added: PoolFile[] = [];
        const proved = new Map<string, (target: string) => Promise<void>>();
        for (const artifact of artifacts) {
          const path = poolPath(artifact);
          const listed = published.find((entry) => entry.path === path);
          if (listed !== undefined && listed.digest !== artifact.digest)
            throw conflict(
              artifact,
              listed.digest,
              'A version is published once. Publish the new bytes under a new version (a rebuild appends +r2).',
            );
          const target = join(repository, path);
          const found = existsSync(target) ? await digestOf(target) : undefined;
          if (listed !== undefined && found !== undefined && found !== artifact.digest)
            throw conflict(artifact, found, "Somebody changed the file in the repository's pool: put the published bytes back.");
          if (found !== artifact.digest) {
            // Other bytes that no index lists were left by a publish that never ended: nobody has seen them.
            proved.set(path, await staging.stage(artifact, op.files, op.signal));
          }
          if (listed === undefined) added.push({ path, architecture: artifact.architecture });
        }
        // All of a release are proved before the first is where hosts could read it.
        try {
          for (const [path, moveTo] of proved) await moveTo(join(repository, path));
          for (const { name } of artifacts) await makeReadable(join(repository, 'pool', name), op.signal);
          await listAdded({ published, added, artifacts, op });
        } catch (thrown) {
          await sweepPool(published);
          throw thrown;
        }
      });
    },

    async offer({ ring, artifacts }, op) {
      await withLock(op.signal, async () => {
        const suite = ringSuite(ring);
        const published = await readSuite(repository, PUBLISHED_SUITE);
        const packages: IndexedPackage[] = [];
        for (const artifact of artifacts) {
          const path = poolPath(artifact);
          const target = join(repository, path);
          if (!published.some((entry) => entry.path === path) || !existsSync(target))
            throw new PluginError({
              code: 'REPOSITORY_ARTIFACT_MISSING',
              message: `${artifact.name} ${artifact.version} (${artifact.architecture}) is not in the repository, so it cannot be offered to ${suite}`,
              hint: 'Publish it first; if it was removed, make a new release of its commit.',
              recovery: 'stop',
            });
          const found = await digestOf(target);
          if (found !== artifact.digest)
            throw conflict(
              artifact,
              found,
              "Somebody changed the file in the repository's pool: put the published bytes back, or make a new release.",
            );
          packages.push({ ...artifact, path });
        }
        const offered = await readSuite(repository, suite);
        const isOffered =
          offered.length === packages.length && packages.every((wanted) => offered.some((entry) => sameBytes(entry, wanted)));
        if (isOffered && existsSync(join(repository, 'dists', suite, 'InRelease'))) return;
        await publishSuite(suite, packages, op.signal);
      });
    },

    async installSources({ ring }, call) {
      const armoured = (await key.read()) ?? (await withLock(call.signal, () => key.ensure(call.signal)));
      return [
        { format: 'deb', uris: [options.url ?? `file:${repository}`], suite: ringSuite(ring), components: ['main'], keys: [armoured] },
      ];
    },

    async remove({ artifacts }, op) {
      await withLock(op.signal, async () => {
        const paths = new Set(artifacts.map(poolPath));
        const offered = await offeredPaths();
        const stillOffered = [...paths].find((path) => offered.has(path));
        if (stillOffered !== undefined)
          throw new PluginError({
            code: 'REPOSITORY_ARTIFACT_OFFERED',
            message: `${basename(stillOffered)} is offered to a ring, so it cannot be removed`,
            hint: 'Roll the ring to another version first.',
            recovery: 'stop',
          });
        const published = await readSuite(repository, PUBLISHED_SUITE);
        const kept = published.filter((entry) => !paths.has(entry.path));
        if (kept.length < published.length) await publishSuite(PUBLISHED_SUITE, kept, op.signal);
        await sweepPool(kept);
      });
    },

    async checkHealth() {
      const needed = [
        { program: 'apt-ftparchive', debianPackage: 'apt-utils' },
        { program: 'gpg', debianPackage: 'gnupg' },
        { program: 'gpgconf', debianPackage: 'gnupg' },
        { program: 'dpkg-deb', debianPackage: 'dpkg' },
      ];
      const programs = needed.map(({ program, debianPackage }) => findProgram(program, debianPackage));
      const armoured = await key.read();
      const signingKey: HealthFinding =
        armoured === undefined
          ? { name: 'signing key', ok: true, detail: 'none yet: made when the first package is published' }
          : { name: 'signing key', ok: true, detail: join(folder, 'gnupg') };
      return [...programs, signingKey];
    },

    dispose: key.dispose,
  };
};

interface Publishing {
  readonly published: readonly PoolFile[];
  readonly added: readonly PoolFile[];
  readonly artifacts: readonly ArtifactId[];
  readonly op: Pick<Op, 'report' | 'signal'>;
}

interface PoolFile {
  readonly path: string;
  readonly architecture: string;
}

const listPool = async (repository: string): Promise<readonly string[]> => {
  const entries = await readdir(join(repository, 'pool'), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name).slice(repository.length + 1));
};
