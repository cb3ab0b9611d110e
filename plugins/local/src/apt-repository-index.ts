import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type ArtifactId, parseDigest, parsePackageName, parsePackageVersion } from '@pipit/core';

/** A package as a suite lists it, with the path of its file below the repository's folder. */
export interface IndexEntry extends ArtifactId {
  readonly path: string;
}

const isMissing = (thrown: unknown): boolean => thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';

const entryOf = (stanza: string): IndexEntry | undefined => {
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

/** What a suite lists now, read from the files that hosts read. A suite that does not exist lists nothing. */
export const readSuite = async (repositoryFolder: string, suite: string): Promise<readonly IndexEntry[]> => {
  const component = join(repositoryFolder, 'dists', suite, 'main');
  try {
    const folders = (await readdir(component)).filter((name) => name.startsWith('binary-'));
    const texts = await Promise.all(
      folders.map(async (name) => gunzipSync(await readFile(join(component, name, 'Packages.gz'))).toString()),
    );
    const entries = texts.flatMap((text) => text.split(/\n\n+/)).flatMap((stanza) => entryOf(stanza) ?? []);
    // A package for all architectures stands in the index of each.
    return [...new Map(entries.map((entry) => [`${entry.path} ${entry.digest}`, entry])).values()];
  } catch (thrown) {
    if (isMissing(thrown)) return [];
    throw thrown;
  }
};

/** Every suite there is. */
export const listSuites = async (repositoryFolder: string): Promise<readonly string[]> => {
  try {
    return (await readdir(join(repositoryFolder, 'dists'))).filter((name) => !name.endsWith('.new'));
  } catch (thrown) {
    if (isMissing(thrown)) return [];
    throw thrown;
  }
};
