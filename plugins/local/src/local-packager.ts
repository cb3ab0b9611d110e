import { type Artifact, type HealthFinding, type Op, type PackageRequest, type Packager, PluginError, parsePackageName } from '@pipit/core';
import {
  checkConfigFiles,
  fillPackageRoot,
  findProgram,
  normalisePackageRoot,
  PACKAGE_FOLDERS,
  placePackageFile,
  readPackageContents,
  runPackaging,
  storePackage,
} from '@pipit/plugin-kit';
import { type ControlFields, controlDifference, controlFields, parseControl, renderControl } from './local-packager-control.js';

export interface LocalPackagerOptions {
  /** `Name <mail>`, for the field Maintainer. */
  readonly maintainer: string;
}

/** The control files of the package, within its root. */
const CONTROL_FOLDER = `${PACKAGE_FOLDERS.root}/DEBIAN`;
const DEB_FILE = 'package.deb';

/** xz is read by every apt; one thread and a fixed level give the same bytes on every machine. */
const COMPRESSION = ['-Zxz', '-z6', '--threads-max=1'] as const;

const stop = (code: { readonly code: string }, message: string, hint: string): PluginError =>
  new PluginError({ ...code, message, hint, recovery: 'stop' });

/** What an architecture of the request means here: `all`, or this machine's. */
const checkArchitectures = async <Options>(request: PackageRequest<Options>, op: Op<'shell'>): Promise<readonly string[]> => {
  const wanted = [...new Set(request.metadata.architectures.length > 0 ? request.metadata.architectures : ['all'])];
  if (wanted.every((architecture) => architecture === 'all')) return wanted;
  const own = (await runPackaging(op, ['dpkg', '--print-architecture'])).trim();
  const other = wanted.find((architecture) => architecture !== 'all' && architecture !== own);
  if (other === undefined) return wanted;
  throw stop(
    { code: 'LOCAL_ARCHITECTURE_UNSUPPORTED' },
    `A package for ${other} cannot be made on this ${own} machine`,
    `Say "architectures: [${own}]" or [all] in pipit.yaml, or choose with \`on:\` a build host of that architecture.`,
  );
};

const buildDeb = async (fields: ControlFields, epochSeconds: number, op: Op<'shell'>): Promise<void> => {
  await placePackageFile(op, `${CONTROL_FOLDER}/control`, renderControl(fields));
  await normalisePackageRoot(op, epochSeconds);
  await runPackaging(op, ['dpkg-deb', '--root-owner-group', ...COMPRESSION, '--build', PACKAGE_FOLDERS.root, DEB_FILE], {
    env: { SOURCE_DATE_EPOCH: `${epochSeconds}` },
  });
  const found = parseControl(await runPackaging(op, ['dpkg-deb', '--field', DEB_FILE]));
  const difference = controlDifference(fields, found);
  if (difference !== undefined)
    throw stop(
      { code: 'LOCAL_PACKAGE_MISMATCH' },
      `The package that was made says something else than it should: ${difference}`,
      'Look whether another process writes into the build folder; then run the step again.',
    );
};

/**
 * Makes Debian packages with dpkg-deb. The package holds what `script/package` leaves in `$PIPIT_PACKAGE_ROOT`; without that script CI's outputs;
 * without outputs the commit's files under the prefix. The same commit gives the same bytes.
 *
 * Errors (all stop): `LOCAL_ARCHITECTURE_UNSUPPORTED`, `LOCAL_PACKAGE_FIELD_INVALID`, `LOCAL_PACKAGE_MISMATCH`, and those of filling a package's
 * root in `@pipit/plugin-kit`.
 */
export const createLocalPackager = <Options>({
  maintainer,
}: LocalPackagerOptions): Packager<Options> & { checkHealth(): readonly HealthFinding[] } => ({
  formats: ['deb'],

  async package(request, op): Promise<readonly Artifact[]> {
    op.signal.throwIfAborted();
    const { metadata } = request;
    const name = parsePackageName(request.app);
    const fieldsOf = (architecture: string): ControlFields =>
      controlFields({ ...request, architecture, maintainer, commit: op.source.commit.sha });
    // What can be refused without work is refused first.
    fieldsOf('all');
    const contents = await readPackageContents(request, op);
    const architectures = await checkArchitectures(request, op);
    await fillPackageRoot(request, op, contents);

    await runPackaging(op, ['rm', '-rf', '--', CONTROL_FOLDER]);
    for (const [name, text] of contents.units) await placePackageFile(op, `${PACKAGE_FOLDERS.root}/lib/systemd/system/${name}`, text);
    await checkConfigFiles(metadata.configFiles, op);
    await placePackageFile(op, `${CONTROL_FOLDER}/postinst`, contents.postInstall);
    await runPackaging(op, ['chmod', '0755', '--', `${CONTROL_FOLDER}/postinst`]);
    if (metadata.configFiles.length > 0)
      await placePackageFile(op, `${CONTROL_FOLDER}/conffiles`, metadata.configFiles.map((path) => `${path}\n`).join(''));

    const artifacts: Artifact[] = [];
    for (const architecture of architectures) {
      op.report({ message: `Making ${name} ${request.version} (${architecture})` });
      await buildDeb(fieldsOf(architecture), contents.epochSeconds, op);
      const content = await storePackage(op, DEB_FILE, 'deb');
      artifacts.push({ format: 'deb', name, version: request.version, architecture, digest: content.sha256, content });
    }
    return artifacts;
  },

  checkHealth: () => [findProgram('dpkg-deb', 'dpkg')],
});
