import { PACKAGE_FOLDERS } from '@pipit/plugin-kit';
import type { FpmFormat } from './architecture.js';
import type { FpmConfig } from './config.js';
import type { PackageFields } from './package-fields.js';

/** Where FPM works, within the shell's folder. Nothing of the repository's code has run after they were made. */
export const FPM_FOLDERS = { work: 'fpm/work', home: 'fpm/home', input: 'fpm/input' } as const;

export const packageFile = (format: FpmFormat): string => `fpm/package.${format}`;
export const postInstallFile = (format: FpmFormat): string => `${FPM_FOLDERS.input}/post-inst.${format}`;
export const changelogFile = (format: FpmFormat): string => `${FPM_FOLDERS.input}/changelog.${format}`;

export interface FpmCommand {
  readonly format: FpmFormat;
  readonly fields: PackageFields;
  readonly config: Pick<FpmConfig, 'program' | 'vendor' | 'license' | 'homepage'>;
  readonly exclude: readonly string[];
  /** Absolute. */
  readonly folder: string;
}

/** Without a changelog FPM writes one with today's date into an rpm, so that the next day's bytes would differ. */
export const changelog = (format: FpmFormat, { name, version, maintainer, commit, run }: PackageFields, epochSeconds: number): string => {
  const [weekday = '', day, month, year, time] = new Date(epochSeconds * 1000).toUTCString().split(' ');
  const text = `Commit ${commit}, run ${run}`;
  return format === 'rpm'
    ? `* ${weekday.slice(0, 3)} ${month} ${day} ${year} ${maintainer.replaceAll('%', '%%')} - ${version}\n- ${text}\n`
    : `${name} (${version}) stable; urgency=medium\n\n  * ${text}.\n\n -- ${maintainer}  ${weekday} ${day} ${month} ${year} ${time} +0000\n`;
};

/** All of a deb comes from here; md5sums and tar are FPM's, sorted and with the commit's time. */
const debArguments = ({ fields }: FpmCommand, file: (name: string) => string): readonly string[] => [
  '--deb-no-default-config-files',
  ...['--deb-compression', 'xz', '--deb-compression-level', '6'],
  ...['--deb-changelog', file(changelogFile('deb'))],
  ...['--deb-field', `X-Pipit-Commit: ${fields.commit}`],
  ...['--deb-field', `X-Pipit-Run: ${fields.run}`],
];

/** An rpm has no fields of one's own: `rpm -q --provides` shows commit and run. */
const rpmArguments = ({ fields }: FpmCommand, file: (name: string) => string): readonly string[] => [
  ...['--rpm-os', 'linux', '--rpm-digest', 'sha256', '--rpm-compression', 'xz', '--rpm-compression-level', '6'],
  '--rpm-auto-add-directories',
  ...['--rpm-changelog', file(changelogFile('rpm'))],
  ...['--rpm-tag', `Provides: pipit-commit(${fields.commit})`],
  ...['--rpm-tag', `Provides: pipit-run(${fields.run})`],
  // What rpmbuild would take of this host and this hour.
  ...[
    '_buildhost pipit',
    'use_source_date_epoch_as_buildtime 1',
    'clamp_mtime_to_source_date_epoch 1',
    'source_date_epoch_from_changelog 0',
  ].flatMap((define) => ['--rpm-rpmbuild-define', define]),
];

/** rpmbuild expands macros in every line of a spec. */
const specText = (format: FpmFormat, text: string): string => (format === 'rpm' ? text.replaceAll('%', '%%') : text);

/** The whole command. Pure. */
export const fpmArguments = (command: FpmCommand): readonly string[] => {
  const { format, fields, config, exclude, folder } = command;
  const file = (name: string): string => `${folder}/${name}`;
  const { version, iteration } = fields.parts;
  return [
    config.program,
    ...['--input-type', 'dir', '--output-type', format],
    ...['--chdir', file(PACKAGE_FOLDERS.root), '--package', file(packageFile(format)), '--workdir', file(FPM_FOLDERS.work)],
    ...['--name', fields.name, '--version', version, ...(iteration === undefined ? [] : ['--iteration', iteration])],
    ...['--architecture', fields.architecture],
    ...['--maintainer', specText(format, fields.maintainer), '--vendor', specText(format, config.vendor ?? '')],
    ...['--license', specText(format, config.license), '--url', specText(format, config.homepage), '--category', 'misc'],
    ...['--description', specText(format, fields.description)],
    ...fields.depends.flatMap((dependency) => ['--depends', dependency]),
    ...fields.configFiles.flatMap((path) => ['--config-files', path]),
    ...['.git', ...exclude].flatMap((pattern) => ['--exclude', pattern]),
    ...['--after-install', file(postInstallFile(format))],
    ...(format === 'deb' ? debArguments(command, file) : rpmArguments(command, file)),
    '--',
    '.',
  ];
};
