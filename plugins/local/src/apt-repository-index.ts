import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type IndexedPackage, parsePackagesIndexes } from '@pipit/plugin-kit';

const isMissing = (thrown: unknown): boolean => thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';

/** What a suite lists now, read from the files that hosts read. A suite that does not exist lists nothing. */
export const readSuite = async (repositoryFolder: string, suite: string): Promise<readonly IndexedPackage[]> => {
  const component = join(repositoryFolder, 'dists', suite, 'main');
  try {
    const folders = (await readdir(component)).filter((name) => name.startsWith('binary-'));
    const texts = await Promise.all(
      folders.map(async (name) => gunzipSync(await readFile(join(component, name, 'Packages.gz'))).toString()),
    );
    return parsePackagesIndexes(texts);
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
