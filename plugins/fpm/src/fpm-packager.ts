import { type Artifact, type Op, type Packager, PluginError, parsePackageName, parsePackageVersion } from '@pipit/core';
import {
  checkConfigFiles,
  fillPackageRoot,
  normalisePackageRoot,
  PACKAGE_FOLDERS,
  type PackageContents,
  placePackageFile,
  readPackageContents,
  runConfined,
  runPackaging,
  storePackage,
} from '@pipit/plugin-kit';
import { architecturesFor, type FpmFormat } from './architecture.js';
import type { FpmConfig, FpmOptions } from './config.js';
import { findFpm, gemEnvironment, NOT_RUN } from './find-fpm.js';
import { changelog, changelogFile, FPM_FOLDERS, fpmArguments, packageFile, postInstallFile } from './fpm-arguments.js';
import { type PackageFields, packageFields } from './package-fields.js';
import { readBack } from './read-back.js';
import { rpmPostInstall } from './rpm-post-install.js';

/** Where each format's hosts look for units. Debian's is that of its own packages. */
const UNIT_FOLDERS: Readonly<Record<FpmFormat, string>> = { deb: 'lib/systemd/system', rpm: 'usr/lib/systemd/system' };

/** The folders that FPM adds itself have the modes that the umask leaves them. */
const WITH_UMASK = ['sh', '-c', 'umask 022; exec "$@"', 'sh'] as const;

/** FPM logs Ruby hashes; what counts stands in `:message`. */
const messagesOf = (log: string): string => {
  const messages = [...log.matchAll(/:message=>"((?:[^"\\]|\\.)*)"/g)].map(([, message]) => message ?? '');
  return (messages.length > 0 ? messages : log.trim().split('\n')).slice(-3).join(' / ').slice(0, 1_000);
};

const placeUnits = async (format: FpmFormat, { units }: PackageContents, op: Op<'shell'>): Promise<void> => {
  for (const [name, text] of units) {
    for (const folder of Object.values(UNIT_FOLDERS))
      await runPackaging(op, ['rm', '-f', '--', `${PACKAGE_FOLDERS.root}/${folder}/${name}`]);
    await placePackageFile(op, `${PACKAGE_FOLDERS.root}/${UNIT_FOLDERS[format]}/${name}`, text);
  }
  // The other format's folder, when nothing else is in it.
  for (const folder of Object.values(UNIT_FOLDERS).filter((one) => one !== UNIT_FOLDERS[format]))
    await runConfined(op, ['rmdir', '--parents', '--ignore-fail-on-non-empty', '--', folder], { cwd: PACKAGE_FOLDERS.root });
};

interface Making {
  readonly format: FpmFormat;
  readonly fields: PackageFields;
  readonly contents: PackageContents;
  readonly config: FpmConfig;
  readonly exclude: readonly string[];
}

const makePackage = async ({ format, fields, contents, config, exclude }: Making, op: Op<'shell'>): Promise<void> => {
  // New ones each time, and made after the repository's code ran: FPM and rpmbuild take options from files of their home.
  await runPackaging(op, ['rm', '-rf', '--', 'fpm']);
  for (const folder of Object.values(FPM_FOLDERS)) await runPackaging(op, ['mkdir', '-p', '--', folder]);
  await placeUnits(format, contents, op);
  await placePackageFile(op, postInstallFile(format), format === 'rpm' ? rpmPostInstall(contents.postInstall) : contents.postInstall);
  await placePackageFile(op, changelogFile(format), changelog(format, fields, contents.epochSeconds));
  await normalisePackageRoot(op, contents.epochSeconds);
  const epoch = `${contents.epochSeconds}`;
  const { folder } = op.shell;
  const { exitCode, stdout, stderr } = await runConfined(
    op,
    [...WITH_UMASK, ...fpmArguments({ format, fields, config, exclude, folder })],
    {
      cwd: FPM_FOLDERS.input,
      env: {
        ...gemEnvironment(config),
        HOME: `${folder}/${FPM_FOLDERS.home}`,
        SOURCE_DATE_EPOCH: epoch,
        TZ: 'UTC',
        TMPDIR: `${folder}/${FPM_FOLDERS.work}`,
      },
    },
  );
  const made = await runConfined(op, ['test', '-s', packageFile(format)]);
  if (exitCode === 0 && made.exitCode === 0) return;
  if (NOT_RUN.includes(exitCode))
    throw new PluginError({
      code: 'FPM_PROGRAM_MISSING',
      message: `FPM (${config.program}) is installed, but cannot be run by the user or in the sandbox in which packages are made`,
      hint: 'Install it where every user may read it, not in a home: as root, gem install --no-document fpm.',
      recovery: 'stop',
    });
  throw new PluginError({
    code: 'FPM_FAILED',
    message: `FPM exited ${exitCode} and made no ${format}: ${messagesOf(`${stdout}\n${stderr}`)}`,
    hint: "Look at the step's log for all that FPM said.",
    recovery: 'stop',
  });
};

/**
 * Makes debs and rpms with FPM, wherever the shell is. The package holds what `script/package` leaves in `$PIPIT_PACKAGE_ROOT`; without that
 * script CI's outputs; without outputs the commit's files under the prefix. The same commit in the same run gives the same bytes.
 *
 * Errors (all stop): `FPM_PROGRAM_MISSING`, `FPM_PROGRAM_BROKEN`, `FPM_ARCHITECTURE_UNSUPPORTED`, `FPM_FIELD_INVALID`, `FPM_VERSION_INVALID`,
 * `FPM_RPM_SCRIPT_UNSUPPORTED`, `FPM_FAILED`, `FPM_PACKAGE_MISMATCH`, and those of filling a package's root in `@pipit/plugin-kit`.
 */
export const createFpmPackager = (config: FpmConfig): Packager<FpmOptions> => ({
  formats: config.formats,

  async package(request, op): Promise<readonly Artifact[]> {
    op.signal.throwIfAborted();
    const { metadata, options } = request;
    // The names were parsed long ago; FPM would only lower and replace what is wrong in them.
    const name = parsePackageName(request.app);
    const version = parsePackageVersion(request.version);
    const formats = [...new Set(options.formats ?? config.formats)];
    const other = formats.find((format) => !config.formats.includes(format));
    if (other !== undefined)
      throw new PluginError({
        code: 'FPM_FORMAT_NOT_CONFIGURED',
        message: `The pipeline wants ${other}, which is not among this instance's formats: ${config.formats.join(', ')}`,
        hint: `Add ${other} to \`formats\` of the instance (under plugins:), or take it out of the pipeline's packager.`,
        recovery: 'stop',
      });
    // What can be refused without work is refused first.
    const contents = await readPackageContents(request, op);
    const fieldsOf = (format: FpmFormat, architecture: string): PackageFields =>
      packageFields(format, request, { architecture, maintainer: config.maintainer, op });
    for (const format of formats) fieldsOf(format, 'all');
    if (formats.includes('rpm')) rpmPostInstall(contents.postInstall);
    op.report({ message: `FPM ${await findFpm(config, formats, op)}` });
    const machine = (await runPackaging(op, ['uname', '-m'])).trim();
    const wanted = formats.flatMap((format) =>
      architecturesFor(metadata.architectures, format, machine).map((architecture) => ({ format, architecture })),
    );

    await fillPackageRoot(request, op, contents);
    await checkConfigFiles(metadata.configFiles, op);
    const artifacts: Artifact[] = [];
    for (const { format, architecture } of wanted) {
      const fields = fieldsOf(format, architecture);
      op.report({ message: `Making ${format} ${name} ${version} (${architecture})` });
      await makePackage({ format, fields, contents, config, exclude: [...config.exclude, ...options.exclude] }, op);
      await readBack(format, fields, op);
      const content = await storePackage(op, packageFile(format), format);
      artifacts.push({ format, name, version, architecture, digest: content.sha256, content });
    }
    return artifacts;
  },
});
