import { type ArtifactId, parseDigest, parsePackageName, parsePackageVersion } from '@pipit/core';

/** A package as an APT repository lists it, with the path of its file below the repository's address. */
export interface IndexedPackage extends ArtifactId {
  readonly path: string;
}

const packageOf = (stanza: string): IndexedPackage | undefined => {
  const field = (name: string): string | undefined => new RegExp(`^${name}: (.+)$`, 'm').exec(stanza)?.[1]?.trim();
  const [name, version, architecture, sha256, path] = ['Package', 'Version', 'Architecture', 'SHA256', 'Filename'].map(field);
  if (name === undefined || version === undefined || architecture === undefined || sha256 === undefined || path === undefined)
    return undefined;
  return {
    format: 'deb',
    name: parsePackageName(name),
    version: parsePackageVersion(version),
    architecture,
    digest: parseDigest(`sha256:${sha256}`),
    path,
  };
};

/**
 * What the `Packages` files of a suite list, each package once: one for all architectures stands in the file of each.
 *
 * @param texts the uncompressed files; a stanza without a SHA256 or a path lists nothing that a host could install
 */
export const parsePackagesIndexes = (texts: readonly string[]): readonly IndexedPackage[] => {
  const packages = texts.flatMap((text) => text.split(/\n\n+/)).flatMap((stanza) => packageOf(stanza) ?? []);
  return [...new Map(packages.map((listed) => [`${listed.path} ${listed.digest}`, listed])).values()];
};

/** The same name, version and architecture: what may stand in a repository once. */
export const sameDebPlace = (one: ArtifactId, other: ArtifactId): boolean =>
  one.name === other.name && one.version === other.version && one.architecture === other.architecture;

/** What names a package's bytes, without where it is listed. */
export const withoutPath = ({ format, name, version, architecture, digest }: IndexedPackage): ArtifactId => ({
  format,
  name,
  version,
  architecture,
  digest,
});
