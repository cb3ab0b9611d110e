import {
  type Artifact,
  type Op,
  type PackageRequest,
  type Packager,
  PluginError,
  parseDigest,
  parsePackageName,
  SCRIPTS,
  unitFilePath,
} from '@pipit/core';

type PackagerOp = Op<'shell' | 'source' | 'files'>;

const runOrStop = async (
  op: PackagerOp,
  argv: readonly string[],
  options: { readonly confined?: boolean; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> => {
  const { exitCode, stdout, stderr } = await op.shell.run(argv, { ...options, onOutput: (text) => op.report({ message: text }) });
  if (exitCode === 0) return stdout;
  throw new PluginError({
    code: 'SKETCH_TOOL_FAILED',
    message: `${argv[0]} ended with ${exitCode}`,
    hint: stderr.slice(-500),
    recovery: 'stop',
  });
};

/** The commit's files and CI's outputs, under the prefix. */
const fillRoot = async ({ metadata, outputs }: PackageRequest<unknown>, op: PackagerOp): Promise<void> => {
  await op.source.checkOut(op.shell, 'source');
  if ((await op.source.readText(SCRIPTS.package)) === undefined) await op.source.checkOut(op.shell, `root${metadata.prefix}`);
  else
    await runOrStop(op, [`${op.shell.folder}/source/${SCRIPTS.package}`], {
      confined: true,
      env: { PIPIT_PACKAGE_ROOT: `${op.shell.folder}/root` },
    });
  for (const { path, file } of outputs) await op.shell.write(`root/${path}`, op.files.get(file));
  for (const unit of metadata.services) {
    const text = await op.source.readText(unitFilePath(unit));
    if (text !== undefined) await op.shell.write(`root/lib/systemd/system/${unit}`, text);
  }
};

const sourceDateEpoch = ({ source }: PackagerOp): string => String(Math.floor(Date.parse(source.commit.committedAt) / 1000));

const storeFile = async (
  op: PackagerOp,
  path: string,
  id: Pick<Artifact, 'format' | 'name' | 'version' | 'architecture'>,
): Promise<Artifact> => {
  const content = await op.files.put(op.shell.read(path));
  return { ...id, digest: content.sha256, content };
};

/** FPM on a build host: one command, whose output is a Ruby hash, so the file is named and looked at. */
export const createFpm = (): Packager<{ readonly compression?: string }> => ({
  formats: ['deb', 'rpm'],
  package: async (request, op) => {
    const { app, version, metadata, options } = request;
    await fillRoot(request, op);
    const name = parsePackageName(app);
    const artifacts: Artifact[] = [];
    for (const format of ['deb', 'rpm'] as const)
      for (const architecture of metadata.architectures) {
        const file = `${name}.${format}`;
        await runOrStop(op, [
          ...['fpm', '-s', 'dir', '-t', format, '-n', name, '-v', version, '-a', architecture, '-p', file, '-C', 'root', '--force'],
          ...['--description', metadata.description, '--after-install', `source/${SCRIPTS.postInstall}`],
          ...['--source-date-epoch-default', sourceDateEpoch(op), '--deb-no-default-config-files'],
          ...(options.compression === undefined ? [] : ['--deb-compression', options.compression]),
          ...metadata.depends.flatMap((dependency) => ['-d', dependency]),
          ...metadata.configFiles.flatMap((path) => ['--config-files', path]),
        ]);
        artifacts.push(await storeFile(op, file, { format, name, version, architecture }));
      }
    return artifacts;
  },
});

/** nfpm: one YAML file, an architecture a run. */
export const createNfpm = (): Packager<{ readonly packager?: 'deb' | 'rpm' }> => ({
  formats: ['deb', 'rpm'],
  package: async (request, op) => {
    const { app, version, metadata, options } = request;
    await fillRoot(request, op);
    const name = parsePackageName(app);
    const format = options.packager ?? 'deb';
    return Promise.all(
      metadata.architectures.map(async (architecture) => {
        const config = {
          ...{ name, arch: architecture, version, version_schema: 'none', maintainer: 'pipit', description: metadata.description },
          ...{ depends: metadata.depends, mtime: op.source.commit.committedAt, scripts: { postinstall: `source/${SCRIPTS.postInstall}` } },
          contents: [
            { src: 'root/', dst: '/', type: 'tree' },
            ...metadata.configFiles.map((dst) => ({ src: `root${dst}`, dst, type: 'config|noreplace' })),
          ],
        };
        await op.shell.write(`nfpm-${architecture}.yaml`, JSON.stringify(config)); // JSON is YAML
        const file = `${name}_${architecture}.${format}`;
        await runOrStop(op, ['nfpm', 'package', '--config', `nfpm-${architecture}.yaml`, '--packager', format, '--target', file]);
        return storeFile(op, file, { format, name, version, architecture });
      }),
    );
  },
});

/** buildah: an image as an OCI archive; hosts check the manifest's digest, which is not the sha256 of the archive. */
export const createBuildah = (): Packager<{ readonly containerfile: string }> => ({
  formats: ['oci'],
  package: async ({ app, version, metadata, options }, op) => {
    await op.source.checkOut(op.shell, 'source');
    const name = parsePackageName(app);
    return Promise.all(
      metadata.architectures.map(async (architecture): Promise<Artifact> => {
        const tag = `${name}:${architecture}`;
        const reproducible = ['--timestamp', sourceDateEpoch(op), '--arch', architecture];
        await runOrStop(op, ['buildah', 'build', ...reproducible, '--file', options.containerfile, '--tag', tag, 'source'], {
          confined: true,
        });
        await runOrStop(op, ['buildah', 'push', '--digestfile', `${architecture}.digest`, tag, `oci-archive:${architecture}.tar`]);
        const digest = parseDigest((await runOrStop(op, ['cat', `${architecture}.digest`])).trim());
        return { format: 'oci', name, version, architecture, digest, content: await op.files.put(op.shell.read(`${architecture}.tar`)) };
      }),
    );
  },
});
