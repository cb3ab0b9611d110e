import { type Digest, PluginError, type Shell } from '@pipit/core';
import type { FreightConf } from './freight-conf.js';

export interface LibraryFile {
  readonly name: string;
  /** Seconds since 1970: when Freight added it. */
  readonly addedAt: number;
}

/** Freight has no way to remove or to look: its folders are what there is. */
export interface FreightLibrary {
  /** Package files of a distribution, by name. */
  list(distribution: string): Promise<readonly LibraryFile[]>;
  /** The absolute path of a file of a distribution. */
  pathOf(distribution: string, file: string): string;
  /** sha256 of a file, or undefined where there is none. */
  digest(path: string): Promise<Digest | undefined>;
  remove(paths: readonly string[]): Promise<void>;
  /** Every distribution that Freight keeps. */
  distributions(): Promise<readonly string[]>;
  /** What interrupted calls left: half-made trees of this distribution, and working folders that are a day old. */
  sweep(distribution: string): Promise<void>;
}

/** Freight's own working folders live for seconds. */
const WORK_FOLDER_AGE_MINUTES = 24 * 60;

export const createFreightLibrary = (shell: Shell, { varlib, varcache }: FreightConf): FreightLibrary => {
  const must = async (argv: readonly string[]): Promise<string> => {
    const result = await shell.run(argv);
    if (result.exitCode === 0) return result.stdout;
    throw new PluginError({
      code: 'FREIGHT_FOLDER_FAILED',
      message: `${argv[0]} failed in Freight's folders: ${result.stderr.trim().split('\n').at(-1) ?? ''}`,
      hint: `The user that Freight runs as must be able to write ${varlib} and ${varcache}.`,
      recovery: 'reconcile',
    });
  };
  const folderOf = (distribution: string): string => `${varlib}/apt/${distribution}`;
  const isFolder = async (path: string): Promise<boolean> => (await shell.run(['test', '-d', path])).exitCode === 0;

  const remove = async (paths: readonly string[]): Promise<void> => {
    // With CACHE="on" Freight keeps a control file beside each package.
    if (paths.length > 0) await must(['rm', '-f', '--', ...paths.flatMap((path) => [path, `${path}-control`])]);
  };

  return {
    async list(distribution) {
      const folder = folderOf(distribution);
      if (!(await isFolder(folder))) return [];
      const text = await must(['find', folder, '-mindepth', '1', '-maxdepth', '1', '-type', 'f', '-name', '*.deb', '-printf', '%T@ %f\\n']);
      return text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => ({ addedAt: Number(line.slice(0, line.indexOf(' '))), name: line.slice(line.indexOf(' ') + 1) }));
    },
    pathOf: (distribution, file) => `${folderOf(distribution)}/${file}`,
    async digest(path) {
      const result = await shell.run(['sha256sum', '--', path]);
      const sha256 = /^([0-9a-f]{64}) /.exec(result.stdout)?.[1];
      return result.exitCode === 0 && sha256 !== undefined ? `sha256:${sha256}` : undefined;
    },
    remove,
    async distributions() {
      const folder = `${varcache}/dists`;
      if (!(await isFolder(folder))) return [];
      const text = await must(['find', folder, '-mindepth', '1', '-maxdepth', '1', '-type', 'l', '-printf', '%f\\n']);
      return text.split('\n').filter((line) => line !== '');
    },
    async sweep(distribution) {
      const dists = `${varcache}/dists`;
      if (await isFolder(dists)) {
        const current = (await shell.run(['readlink', '--', `${dists}/${distribution}`])).stdout.trim();
        const text = await must(['find', dists, '-mindepth', '1', '-maxdepth', '1', '-name', `${distribution}-*`, '-printf', '%f\\n']);
        const made = new RegExp(`^${distribution.replaceAll('.', '\\.')}-[0-9]{14,}-?$`);
        const left = text.split('\n').filter((name) => made.test(name) && name !== current);
        if (left.length > 0) await must(['rm', '-rf', '--', ...left.map((name) => `${dists}/${name}`)]);
      }
      for (const [folder, pattern] of [
        [varcache, 'work.*'],
        [varlib, 'freight.*'],
      ] as const) {
        if (!(await isFolder(folder))) continue;
        const age = ['-mmin', `+${WORK_FOLDER_AGE_MINUTES}`];
        await must([
          'find',
          folder,
          '-mindepth',
          '1',
          '-maxdepth',
          '1',
          '-type',
          'd',
          '-name',
          pattern,
          ...age,
          '-exec',
          'rm',
          '-rf',
          '{}',
          '+',
        ]);
      }
    },
  };
};
