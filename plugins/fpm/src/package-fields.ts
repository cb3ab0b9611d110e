import { type Op, type PackageRequest, type PackageVersion, PluginError } from '@pipit/core';
import type { FpmFormat } from './architecture.js';

const invalid = (message: string, hint = "Correct it in the repository's pipit.yaml, and push."): PluginError =>
  new PluginError({ code: 'FPM_FIELD_INVALID', message, hint, recovery: 'stop' });

/** A value of one line, without a character that could begin another field. */
const oneLine = (field: string, value: string): string => {
  if (!/[\p{Cc}\u2028\u2029]/u.test(value)) return value.trim();
  throw invalid(`${JSON.stringify(value)} cannot stand in the package's field ${field}: it has a line break or another control character`);
};

/** The description's lines, the first and the last of which are not empty; the app's name when there is none. */
export const descriptionOf = (app: string, text: string): string => {
  const lines = text.split(/\r\n|\r|\n/).map((line) => oneLine('Description', line.replaceAll('\t', ' ')));
  while (lines[0] === '') lines.shift();
  while (lines.at(-1) === '') lines.pop();
  return lines.join('\n') || app;
};

/** `name`, `name (>= 1.2)` as Debian writes it, or `name >= 1.2` as rpm does. */
const DEPENDENCY = /^([^\s(|,]+)(?:\s*\(\s*(<<|<=|=|>=|>>|<|>)\s*([^\s)]+)\s*\)|\s+(<<|<=|=|>=|>>|<|>)\s+(\S+))?$/;

/**
 * A dependency in the format's own words. What only Debian can say (`a | b`) stands in a deb as it is and is refused for an rpm.
 *
 * @throws PluginError `FPM_FIELD_INVALID` (stop)
 */
export const dependencyFor = (format: FpmFormat, text: string): string => {
  const dependency = oneLine('Depends', text);
  // FPM rewrites upper case and `_`, which no Debian package's name has, and leaves a path out.
  if (format === 'deb' && /^\/|[_A-Z]/.test(dependency.replaceAll(/\([^)]*\)/g, '')))
    throw invalid(`The dependency ${JSON.stringify(text)} is not a Debian package: their names have no upper case, "_" or "/"`);
  const match = DEPENDENCY.exec(dependency);
  if (match === null) {
    if (format === 'deb') return dependency;
    throw invalid(
      `The dependency ${JSON.stringify(text)} cannot be written in an rpm`,
      'In pipit.yaml write a name, or a name and a version: libc6 (>= 2.36).',
    );
  }
  const [, name = '', debianOperator, debianVersion, rpmOperator, rpmVersion] = match;
  const operator = debianOperator ?? rpmOperator;
  if (operator === undefined) return name;
  const version = debianVersion ?? rpmVersion ?? '';
  if (format === 'rpm') return `${name} ${operator.replace('<<', '<').replace('>>', '>')} ${version}`;
  return `${name} (${operator === '<' || operator === '>' ? operator + operator : operator} ${version})`;
};

export interface VersionParts {
  readonly version: string;
  /** Debian's revision, rpm's release. */
  readonly iteration: string | undefined;
}

/**
 * A version as FPM wants it: behind the last `-` stands the iteration.
 *
 * @throws PluginError `FPM_VERSION_INVALID` (stop)
 */
export const versionParts = (format: FpmFormat, version: PackageVersion): VersionParts => {
  const at = version.lastIndexOf('-');
  const parts = at < 0 ? { version, iteration: undefined } : { version: version.slice(0, at), iteration: version.slice(at + 1) };
  if (format === 'rpm' && (parts.iteration === undefined || parts.version.includes('-')))
    throw new PluginError({
      code: 'FPM_VERSION_INVALID',
      message: `${version} cannot be the version of an rpm, which has exactly one "-", between version and release`,
      hint: 'The versions that pipit makes have one; look what made this one.',
      recovery: 'stop',
    });
  return parts;
};

/** The run of an operation's key: a restart and a person's retry keep it, so that they make the same bytes. */
export const runOf = (key: string): string => (key.split(':')[0] ?? key).replaceAll(/[^A-Za-z0-9@._+-]/g, '.');

/** What a package must say of itself when it is read back. */
export interface PackageFields {
  readonly name: string;
  readonly version: PackageVersion;
  readonly parts: VersionParts;
  readonly architecture: string;
  readonly maintainer: string;
  readonly description: string;
  readonly depends: readonly string[];
  readonly configFiles: readonly string[];
  readonly commit: string;
  readonly run: string;
}

/** @throws PluginError `FPM_FIELD_INVALID`, `FPM_VERSION_INVALID` (stop) */
export const packageFields = <Options>(
  format: FpmFormat,
  { app, version, metadata }: PackageRequest<Options>,
  { architecture, maintainer, op }: { readonly architecture: string; readonly maintainer: string; readonly op: Op<'source'> },
): PackageFields => ({
  name: app,
  version,
  parts: versionParts(format, version),
  architecture,
  maintainer,
  description: descriptionOf(app, metadata.description),
  depends: metadata.depends.filter((dependency) => dependency.trim() !== '').map((dependency) => dependencyFor(format, dependency)),
  configFiles: metadata.configFiles,
  commit: op.source.commit.sha,
  run: runOf(op.key),
});
