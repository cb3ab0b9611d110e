import {
  type Artifact,
  type ArtifactId,
  type Op,
  PluginError,
  parseDigest,
  parsePackageName,
  parsePackageVersion,
  type Repository,
  type RingRef,
  type Secret,
} from '@pipit/core';

const conflict = (known: ArtifactId, asked: ArtifactId): PluginError =>
  new PluginError({
    code: 'REPOSITORY_DIGEST_CONFLICT',
    message: `${known.name} ${known.version} is published as ${known.digest}, not as ${asked.digest}`,
    recovery: 'stop',
  });

const suiteOf = ({ app, role, ring }: RingRef): string => `${app}-${role}-${ring}`;
const fileOf = ({ name, version, architecture }: ArtifactId): string => `${name}_${version}_${architecture}.deb`;

const run = async (op: Op<'shell'>, argv: readonly string[]): Promise<string> => {
  const { exitCode, stdout, stderr } = await op.shell.run(argv);
  if (exitCode !== 0) throw new PluginError({ code: 'SKETCH_TOOL_FAILED', message: `${argv[0]}: ${stderr}`, recovery: 'reconcile' });
  return stdout;
};

const parsePackages = (text: string): readonly ArtifactId[] =>
  text.split('\n\n').flatMap((paragraph) => {
    const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(paragraph)?.[1] ?? '';
    if (field('Package') === '') return [];
    const id = {
      name: parsePackageName(field('Package')),
      version: parsePackageVersion(field('Version')),
      architecture: field('Architecture'),
    };
    return [{ format: 'deb' as const, ...id, digest: parseDigest(`sha256:${field('SHA256')}`) }];
  });

interface FreightConfig {
  readonly config: string;
  readonly library: string;
  readonly cache: string;
  readonly url: string;
  readonly key: string;
}

/** Freight, on the repository's machine: a folder of its own for what no ring sees, a distribution a ring. Its exit codes prove nothing. */
export const createFreight = ({ config, library, cache, url, key }: FreightConfig): Repository<Readonly<Record<string, never>>> => {
  const STORE = 'pipit-store';
  const readIndex = async (op: Op<'shell'>, suite: string): Promise<readonly ArtifactId[]> =>
    parsePackages(await run(op, ['sh', '-c', 'zcat -- "$1"/main/binary-*/Packages.gz', 'sh', `${cache}/dists/${suite}`]));
  const find: Repository<unknown>['find'] = async ({ name, version }, op) =>
    (await readIndex(op, STORE)).filter((id) => id.name === name && id.version === version);
  return {
    formats: ['deb'],
    find,
    publish: async ({ artifacts, options }, op) => {
      for (const artifact of artifacts) {
        if ('reference' in artifact.content) throw new TypeError('A deb has bytes');
        const known = (await find({ name: artifact.name, version: artifact.version, options }, op)).find(
          (id) => id.architecture === artifact.architecture,
        );
        if (known?.digest === artifact.digest) continue;
        if (known !== undefined) throw conflict(known, artifact);
        await op.shell.write(fileOf(artifact), op.files.get(artifact.content));
        await run(op, ['freight', 'add', '-c', config, '-e', fileOf(artifact), `apt/${STORE}`]);
      }
      await run(op, ['freight', 'cache', '-c', config, `apt/${STORE}`]);
    },
    installSources: async ({ ring }) => [{ format: 'deb', uris: [url], suite: suiteOf(ring), components: ['main'], keys: [key] }],
    offer: async ({ ring, artifacts }, op) => {
      const suite = suiteOf(ring);
      await run(op, ['rm', '-rf', '--', `${library}/apt/${suite}`]);
      await run(op, ['mkdir', '-p', '--', `${library}/apt/${suite}`]);
      for (const id of artifacts)
        await run(op, ['ln', '--', `${library}/apt/${STORE}/${fileOf(id)}`, `${library}/apt/${suite}/${fileOf(id)}`]);
      await run(op, ['freight', 'cache', '-c', config, `apt/${suite}`]);
      if ((await readIndex(op, suite)).length !== artifacts.length)
        throw new PluginError({
          code: 'FREIGHT_OFFER_INCOMPLETE',
          message: `${suite} does not show what it was given`,
          recovery: 'reconcile',
        });
    },
    remove: async ({ artifacts }, op) => {
      for (const id of artifacts) await run(op, ['rm', '-f', '--', `${library}/apt/${STORE}/${fileOf(id)}`]);
      await run(op, ['freight', 'cache', '-c', config, `apt/${STORE}`]);
    },
  };
};

/** aptly by its REST API: a snapshot a ring. */
interface AptlyClient {
  /** GET /api/repos/{name}/packages?q=&format=details */
  listPackages(
    repo: string,
    query: string,
    options: { signal: AbortSignal },
  ): Promise<readonly Readonly<Record<'Package' | 'Version' | 'Architecture' | 'SHA256' | 'Key', string>>[]>;
  /** POST /api/files/{dir} */
  upload(dir: string, file: string, content: AsyncIterable<Uint8Array>, options: { signal: AbortSignal }): Promise<void>;
  /** POST /api/repos/{name}/file/{dir} */
  addFiles(repo: string, dir: string, options: { signal: AbortSignal }): Promise<{ readonly FailedFiles: readonly string[] }>;
  /** POST /api/snapshots */
  createSnapshot(options: { Name: string; PackageRefs: readonly string[]; signal: AbortSignal }): Promise<void>;
  /** PUT /api/publish/{prefix}/{distribution} */
  switchPublished(
    prefix: string,
    distribution: string,
    options: { Snapshots: readonly { Component: string; Name: string }[]; signal: AbortSignal },
  ): Promise<void>;
  deletePackages(repo: string, options: { PackageRefs: readonly string[]; signal: AbortSignal }): Promise<void>;
}

export const createAptly = (
  client: AptlyClient,
  config: { readonly url: string; readonly prefix: string; readonly keys: readonly string[] },
): Repository<{ readonly repo: string }> => {
  const list = (repo: string, { name, version }: Pick<ArtifactId, 'name' | 'version'>, signal: AbortSignal) =>
    client.listPackages(repo, `${name} (= ${version})`, { signal });
  const find: Repository<{ readonly repo: string }>['find'] = async ({ name, version, options }, { signal }) =>
    (await list(options.repo, { name, version }, signal)).map((found) => ({
      ...{ format: 'deb' as const, name, version, architecture: found.Architecture, digest: parseDigest(`sha256:${found.SHA256}`) },
    }));
  const refsOf = async (repo: string, artifacts: readonly ArtifactId[], signal: AbortSignal): Promise<readonly string[]> => {
    const found = await Promise.all(artifacts.map((id) => list(repo, id, signal)));
    return found.flat().map((each) => each.Key);
  };
  return {
    formats: ['deb'],
    find,
    publish: async ({ artifacts, options }, op) => {
      const upload = async (artifact: Artifact): Promise<void> => {
        const known = (await find({ name: artifact.name, version: artifact.version, options }, op)).find(
          (id) => id.architecture === artifact.architecture,
        );
        if (known !== undefined && known.digest !== artifact.digest) throw conflict(known, artifact);
        if (known === undefined && 'sha256' in artifact.content)
          await client.upload(op.key, fileOf(artifact), op.files.get(artifact.content), op);
      };
      for (const artifact of artifacts) await upload(artifact);
      await client.addFiles(options.repo, op.key, op);
    },
    installSources: async ({ ring }) => [
      { format: 'deb', uris: [`${config.url}/${config.prefix}`], suite: suiteOf(ring), components: ['main'], keys: config.keys },
    ],
    offer: async ({ ring, artifacts, options }, { key, signal }) => {
      const name = `${suiteOf(ring)}-${key}`;
      await client.createSnapshot({ Name: name, PackageRefs: await refsOf(options.repo, artifacts, signal), signal });
      await client.switchPublished(config.prefix, suiteOf(ring), { Snapshots: [{ Component: 'main', Name: name }], signal });
    },
    remove: async ({ artifacts, options }, { signal }) =>
      client.deletePackages(options.repo, { PackageRefs: await refsOf(options.repo, artifacts, signal), signal }),
  };
};

/** An OCI registry by skopeo: a tag a version, a tag a ring. It has no `remove`: registries collect their own garbage. */
export const createOciRegistry = (config: {
  readonly registry: string;
  readonly username: string;
  readonly password: Secret;
}): Repository<{ readonly namespace: string }> => {
  const reference = (namespace: string, name: string, tag: string): string => `docker://${config.registry}/${namespace}/${name}:${tag}`;
  const versionTag = ({ version, architecture }: Pick<ArtifactId, 'version' | 'architecture'>): string =>
    `${version.replaceAll(/[+~]/g, '_')}-${architecture}`;
  const ringTag = (ring: RingRef, architecture: string): string => `${ring.role}-${ring.ring}-${architecture}`;
  const find: Repository<{ readonly namespace: string }>['find'] = async ({ name, version, options }, op) => {
    const found = await Promise.all(
      ['amd64', 'arm64'].map(async (architecture): Promise<readonly ArtifactId[]> => {
        const { exitCode, stdout } = await op.shell.run([
          'skopeo',
          'inspect',
          '--format',
          '{{.Digest}}',
          reference(options.namespace, name, versionTag({ version, architecture })),
        ]);
        return exitCode === 0 ? [{ format: 'oci', name, version, architecture, digest: parseDigest(stdout.trim()) }] : [];
      }),
    );
    return found.flat();
  };
  return {
    formats: ['oci'],
    find,
    publish: async ({ artifacts, options }, op) => {
      for (const artifact of artifacts) {
        const [known] = (await find({ name: artifact.name, version: artifact.version, options }, op)).filter(
          (id) => id.architecture === artifact.architecture,
        );
        if (known !== undefined && known.digest !== artifact.digest) throw conflict(known, artifact);
        if (known !== undefined || 'reference' in artifact.content) continue;
        await op.shell.write('image.tar', op.files.get(artifact.content));
        await op.shell.write(
          'auth.json',
          JSON.stringify({ auths: { [config.registry]: { auth: btoa(`${config.username}:${config.password.reveal()}`) } } }),
          { mode: 0o600 },
        );
        await run(op, [
          'skopeo',
          'copy',
          '--authfile',
          'auth.json',
          '--preserve-digests',
          'oci-archive:image.tar',
          reference(options.namespace, artifact.name, versionTag(artifact)),
        ]);
      }
    },
    installSources: async ({ ring, options }) => [
      {
        format: 'oci',
        image: `${config.registry}/${options.namespace}/${ring.app}`,
        credentials: { username: config.username, password: config.password },
      },
    ],
    offer: async ({ ring, artifacts, options }, op) => {
      for (const id of artifacts) {
        const from = `docker://${config.registry}/${options.namespace}/${id.name}@${id.digest}`;
        await run(op, ['skopeo', 'copy', from, reference(options.namespace, id.name, ringTag(ring, id.architecture))]);
      }
    },
  };
};
