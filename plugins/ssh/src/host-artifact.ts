import { type Artifact, type Host, type HostReport, type InstallSource, PluginError, type RolloutRequest } from '@pipit/core';

export type PackageSource = InstallSource & { readonly format: 'deb' | 'rpm' };
type PackageFormat = PackageSource['format'];

/** Debian's and rpm's words for packages of no particular architecture. */
const INDEPENDENT = new Set(['all', 'noarch']);

/** What a host is to install, and from where. */
export interface Choice {
  readonly artifact: Artifact;
  readonly source: PackageSource;
}

const isPackageSource = (source: InstallSource): source is PackageSource => source.format === 'deb' || source.format === 'rpm';

const sourceOf = (sources: readonly InstallSource[], format: string): PackageSource | undefined =>
  sources.filter(isPackageSource).find((source) => source.format === format);

/**
 * Whether any host could install from this request at all.
 *
 * @throws PluginError `HOST_SOURCE_MISSING` (stop)
 */
export const checkSources = ({ release, sources }: RolloutRequest<unknown>): void => {
  if (release.artifacts.some((artifact) => sourceOf(sources, artifact.format) !== undefined)) return;
  throw new PluginError({
    code: 'HOST_SOURCE_MISSING',
    message: 'The repository gives no source of debs or rpms for a package of this release, and hosts over ssh install nothing else',
    hint: 'Use a repository that publishes the format that the packager makes.',
    recovery: 'stop',
  });
};

/** Undefined: the release has nothing for this host. The attribute `format` (deb, rpm) chooses where a release has both. */
export const chooseArtifact = (host: Host, { release, sources }: RolloutRequest<unknown>): Choice | undefined => {
  const { architecture, format } = host.attributes;
  for (const artifact of release.artifacts) {
    const source = sourceOf(sources, artifact.format);
    if (source === undefined || (format !== undefined && format !== artifact.format)) continue;
    if (architecture === undefined || INDEPENDENT.has(artifact.architecture) || artifact.architecture === architecture)
      return { artifact, source };
  }
  return undefined;
};

export const unservedReport = (host: Host, { release }: RolloutRequest<unknown>): HostReport => ({
  hostId: host.id,
  reachable: true,
  error: {
    code: 'HOST_ARCHITECTURE_UNSERVED',
    message: `${release.version} has no package for ${host.id} (${host.attributes.architecture ?? 'unknown architecture'})`,
    hint: 'Package it for that architecture too, and let a canary host of that architecture run it first.',
  },
});

/** The format that the hosts of a look are asked in: `any` lets the host say. */
export const formatOf = (choice: Choice | undefined): PackageFormat | 'any' => choice?.source.format ?? 'any';
