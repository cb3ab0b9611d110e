import { type Op, PluginError } from '@pipit/core';
import { runPackaging } from '@pipit/plugin-kit';
import type { FpmFormat } from './architecture.js';
import { packageFile } from './fpm-arguments.js';
import type { PackageFields } from './package-fields.js';

type Facts = Readonly<Record<string, string>>;

/** One line a value: an empty line stands as a dot in both formats, and deb begins each further line with a space. */
const flat = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && line !== '.')
    .join(' ');

const debFacts = async (op: Op<'shell'>): Promise<Facts> => {
  const text = await runPackaging(op, ['dpkg-deb', '--field', packageFile('deb')]);
  const found = new Map<string, string>();
  let last = '';
  for (const line of text.split('\n')) {
    if (line.startsWith(' ')) found.set(last, `${found.get(last)}\n${line}`);
    else {
      last = line.slice(0, Math.max(line.indexOf(':'), 0));
      found.set(last, line.slice(last.length + 1).trim());
    }
  }
  const of = (name: string): string => flat(found.get(name) ?? '');
  return {
    name: of('Package'),
    version: of('Version'),
    architecture: of('Architecture'),
    maintainer: of('Maintainer'),
    depends: of('Depends'),
    description: of('Description'),
    commit: of('X-Pipit-Commit'),
    run: of('X-Pipit-Run'),
  };
};

const RPM_TAGS = [
  '%{NAME}',
  '%{VERSION}-%{RELEASE}',
  '%{ARCH}',
  '%{PACKAGER}',
  '%{DESCRIPTION}',
  '[%{REQUIRENEVRS}\\t]',
  '[%{PROVIDENEVRS}\\t]',
];

const rpmFacts = async (op: Op<'shell'>): Promise<Facts> => {
  // RS and US cannot stand in any of the values.
  const format = RPM_TAGS.join('\u001e');
  const text = await runPackaging(op, ['rpm', '--query', '--package', '--nosignature', '--queryformat', format, packageFile('rpm')]);
  const [name = '', version = '', architecture = '', maintainer = '', description = '', requires = '', provides = ''] =
    text.split('\u001e');
  const provided = (what: string): string =>
    provides
      .split('\t')
      .find((one) => one.startsWith(`${what}(`))
      ?.slice(what.length + 1, -1) ?? '';
  // rpm adds what its scripts and its own format need.
  const depends = requires.split('\t').filter((one) => one !== '' && one !== '/bin/sh' && !one.startsWith('rpmlib('));
  return {
    name,
    version,
    architecture,
    maintainer,
    depends: depends.sort().join(', '),
    description: flat(description),
    commit: provided('pipit-commit'),
    run: provided('pipit-run'),
  };
};

const wantedFacts = (format: FpmFormat, fields: PackageFields): Facts => ({
  name: fields.name,
  version: fields.version,
  architecture: fields.architecture,
  maintainer: fields.maintainer,
  depends: (format === 'rpm' ? [...new Set(fields.depends)].sort() : fields.depends).join(', '),
  description: flat(fields.description),
  commit: fields.commit,
  run: fields.run,
});

/**
 * Asks the package itself what it is: neither FPM's exit code nor its log says that a name was lowered or a dependency left out.
 *
 * @throws PluginError `FPM_PACKAGE_MISMATCH`, `PACKAGE_BUILD_FAILED` (stop)
 */
export const readBack = async (format: FpmFormat, fields: PackageFields, op: Op<'shell'>): Promise<void> => {
  const found = await (format === 'deb' ? debFacts(op) : rpmFacts(op));
  for (const [name, wanted] of Object.entries(wantedFacts(format, fields)))
    if (found[name] !== wanted)
      throw new PluginError({
        code: 'FPM_PACKAGE_MISMATCH',
        message: `The ${format} that FPM made says its ${name} is ${JSON.stringify(found[name])} and not ${JSON.stringify(wanted)}`,
        hint: 'FPM rewrites what it holds for wrong. Correct it in pipit.yaml, or look whether another process writes into the build folder.',
        recovery: 'stop',
      });
};
