import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The workspace's root folder. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Manifest {
  readonly name: string;
  readonly keywords?: readonly string[];
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

export interface SourceFile {
  /** Relative to the workspace's root, for example `packages/core/src/index.ts`. */
  readonly path: string;
  readonly text: string;
}

export interface WorkspacePackage {
  /** Relative to the workspace's root, for example `plugins/local`. */
  readonly folder: string;
  readonly manifest: Manifest;
  /** What is shipped: everything under `src` that is TypeScript, without tests and fixtures. */
  readonly sources: readonly SourceFile[];
  /** Every file of the folder, relative to it; nothing built or installed. */
  readonly files: readonly string[];
}

const NOT_OURS = new Set(['node_modules', 'dist', '.turbo', '.git']);

/** Every file below a folder, relative to it, sorted; nothing built or installed. */
export const listFiles = (folder: string, prefix = ''): readonly string[] =>
  readdirSync(join(folder, prefix), { withFileTypes: true })
    .flatMap((entry) => {
      const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
      if (NOT_OURS.has(entry.name)) return [];
      return entry.isDirectory() ? listFiles(folder, path) : [path];
    })
    .sort();

const isShipped = (path: string): boolean => /^src\/.*\.tsx?$/.test(path) && !/\.test\.tsx?$/.test(path) && !path.includes('__fixtures__');

const readPackage = (root: string, folder: string): WorkspacePackage => {
  const files = listFiles(join(root, folder));
  return {
    folder,
    manifest: JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as Manifest, // our own files; a wrong shape fails the tests
    sources: files.filter(isShipped).map((file) => ({ path: `${folder}/${file}`, text: readFileSync(join(root, folder, file), 'utf8') })),
    files,
  };
};

/** Reads every package and plugin of a workspace. */
export const readWorkspace = (root: string = ROOT): readonly WorkspacePackage[] =>
  ['packages', 'plugins'].flatMap((parent) =>
    readdirSync(join(root, parent))
      .map((name) => `${parent}/${name}`)
      .filter((folder) => existsSync(join(root, folder, 'package.json')))
      .map((folder) => readPackage(root, folder)),
  );

/** Reads the Markdown files below a folder. */
export const readMarkdown = (folder: string, root: string = ROOT): readonly SourceFile[] =>
  listFiles(join(root, folder))
    .filter((file) => file.endsWith('.md'))
    .map((file) => ({ path: `${folder}/${file}`, text: readFileSync(join(root, folder, file), 'utf8') }));
