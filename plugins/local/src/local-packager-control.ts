import { type AppName, type CommitSha, type PackageMetadata, type PackageVersion, PluginError } from '@pipit/core';

export interface ControlOptions {
  readonly app: AppName;
  readonly version: PackageVersion;
  readonly architecture: string;
  readonly metadata: Pick<PackageMetadata, 'description' | 'depends'>;
  readonly maintainer: string;
  readonly commit: CommitSha;
}

/** Field names with their values, in the order in which they are written. Lines of a value after the first begin with a space. */
export type ControlFields = readonly (readonly [name: string, value: string])[];

const invalid = (field: string, value: string): PluginError =>
  new PluginError({
    code: 'LOCAL_PACKAGE_FIELD_INVALID',
    message: `${JSON.stringify(value)} cannot stand in the package's field ${field}: it has a line break or another control character`,
    hint: "Correct it in the repository's pipit.yaml, and push.",
    recovery: 'stop',
  });

/** A value of one line, without a character that could begin another field. */
const oneLine = (field: string, value: string): string => {
  if (/\p{Cc}|\u2028|\u2029/u.test(value)) throw invalid(field, value);
  return value.trim();
};

/** The first line is the synopsis; every other line is made a continuation. Source: Debian Policy 5.6.13. */
const description = (text: string): string => {
  const lines = text.split(/\r\n|\r|\n/).map((line) => oneLine('Description', line.replaceAll('\t', ' ')));
  const [synopsis = '', ...rest] = lines.slice(lines.findIndex((line) => line !== ''));
  while (rest.at(-1) === '') rest.pop();
  return [synopsis, ...rest.map((line) => (line === '' ? ' .' : ` ${line}`))].join('\n');
};

/**
 * The fields of a package's control file.
 *
 * @throws PluginError `LOCAL_PACKAGE_FIELD_INVALID` (stop)
 */
export const controlFields = ({ app, version, architecture, metadata, maintainer, commit }: ControlOptions): ControlFields => {
  const depends = metadata.depends.map((dependency) => oneLine('Depends', dependency)).filter((dependency) => dependency !== '');
  const fields: ControlFields = [
    ['Package', app],
    ['Version', version],
    ['Architecture', oneLine('Architecture', architecture)],
    ['Maintainer', oneLine('Maintainer', maintainer)],
    ['Depends', depends.join(', ')],
    ['Section', 'misc'],
    ['Priority', 'optional'],
    ['Description', description(metadata.description) || app],
    ['X-Pipit-Commit', commit],
  ];
  return fields.filter(([, value]) => value !== '');
};

export const renderControl = (fields: ControlFields): string => fields.map(([name, value]) => `${name}: ${value}\n`).join('');

/** Reads a control file back: the text of `dpkg-deb --field`. */
export const parseControl = (text: string): ControlFields => {
  const fields: [string, string][] = [];
  for (const line of text.split('\n')) {
    const last = fields.at(-1);
    if (line.startsWith(' ') && last !== undefined) {
      last[1] += `\n${line}`;
      continue;
    }
    const colon = line.indexOf(':');
    if (colon > 0) fields.push([line.slice(0, colon), line.slice(colon + 1).trim()]);
  }
  return fields;
};

/** How two control files differ, in words, or undefined. The order of fields means nothing. */
export const controlDifference = (wanted: ControlFields, found: ControlFields): string | undefined => {
  const want = new Map(wanted);
  const have = new Map(found);
  for (const name of new Set([...want.keys(), ...have.keys()])) {
    const one = want.get(name);
    const other = have.get(name);
    if (one !== other) return `${name} is ${JSON.stringify(other ?? 'missing')} and not ${JSON.stringify(one ?? 'missing')}`;
  }
  return undefined;
};
