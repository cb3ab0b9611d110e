/** Where a package is put together, within the shell's folder. */
export const PACKAGE_FOLDERS = {
  /** The commit's files. */
  source: 'source',
  /** What CI built. */
  outputs: 'outputs',
  /** Becomes the package. */
  root: 'root',
} as const;
