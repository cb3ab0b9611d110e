import type { Commit } from '../domain/change-event.js';
import type { Shell } from './shell.js';

/** The exact commit, fetched by pipit: git credentials never reach a build host. */
export interface Source {
  readonly commit: Commit;
  /** A file of the commit, or undefined. */
  readText(path: string): Promise<string | undefined>;
  /** Writes the commit's files (no `.git`) into a new folder, relative to the shell's. File modes and links are kept. */
  checkOut(at: Shell, folder: string): Promise<void>;
}
