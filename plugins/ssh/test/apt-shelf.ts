import { type Artifact, type InstallSource, parseDigest, parsePackageName, parsePackageVersion } from '@pipit/core';
import { type DebRequest, type AptShelf as LabShelf, openAptShelf as openLabShelf, type BuiltDeb as ShelfDeb } from 'pipit-lab';

/** A deb of the lab's shelf, with what pipit says of it. */
export interface BuiltDeb extends ShelfDeb {
  readonly artifact: Artifact;
}

export interface AptShelf extends Pick<LabShelf, 'folder' | 'breakSignature' | 'hold' | 'close'> {
  build(request: DebRequest): Promise<BuiltDeb>;
  put(suite: string, debs: readonly BuiltDeb[]): Promise<InstallSource>;
}

const artifactOf = ({ name, version, digest, bytes }: ShelfDeb): Artifact => {
  const sha256 = parseDigest(digest);
  return {
    format: 'deb',
    name: parsePackageName(name),
    version: parsePackageVersion(version),
    architecture: 'all',
    digest: sha256,
    content: { sha256, size: bytes },
  };
};

/** The lab's shelf, in pipit's own types. */
export const openAptShelf = async (address: string): Promise<AptShelf> => {
  const shelf = await openLabShelf(address);
  return {
    ...shelf,
    build: async (request) => {
      const deb = await shelf.build(request);
      return { ...deb, artifact: artifactOf(deb) };
    },
  };
};
