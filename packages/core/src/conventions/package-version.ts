import type { Commit } from '../domain/change-event.js';
import { type PackageVersion, parsePackageVersion } from '../identifiers.js';
import { PluginError } from '../plugin-error.js';

/** What a repository that names no version gets. */
export const DEFAULT_BASE_VERSION = '0.0.0';

const compactUtc = (iso: string): string => {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime()))
    throw new PluginError({ code: 'INVALID_COMMIT_TIME', message: `${JSON.stringify(iso)} is not a time`, recovery: 'stop' });
  return time.toISOString().replace(/\D/g, '').slice(0, 14);
};

/**
 * `<version>-<commit time as UTC yyyymmddhhmmss>.<7 characters of the commit>`: the same commit gives the same version.
 * A `-` inside `<version>` becomes `~`; an epoch is refused; a deliberate rebuild appends `+r2`. Versions need not sort: order is the sequence's alone.
 *
 * @param base for example `1.4.0` or `2.0.0-rc1`; {@link DEFAULT_BASE_VERSION} when the repository names none
 * @param rebuild 1 (the default) for the first build, 2 for the first deliberate rebuild
 */
export const packageVersion = (commit: Commit, base: string = DEFAULT_BASE_VERSION, rebuild = 1): PackageVersion => {
  if (base.includes(':'))
    throw new PluginError({
      code: 'VERSION_HAS_EPOCH',
      message: `Version ${JSON.stringify(base)} has an epoch`,
      hint: 'Take out the part up to ":"; pipit installs exact versions and may downgrade, so an epoch is never needed.',
      recovery: 'stop',
    });
  const suffix = rebuild > 1 ? `+r${rebuild}` : '';
  return parsePackageVersion(`${base.replaceAll('-', '~')}-${compactUtc(commit.committedAt)}.${commit.sha.slice(0, 7)}${suffix}`);
};
