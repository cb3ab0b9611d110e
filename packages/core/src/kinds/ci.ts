import type { Op } from '../context/operation-call.js';
import type { StoredFile } from '../domain/artifact.js';
import type { Commit } from '../domain/change-event.js';
import type { AppName, CommitSha, RefName } from '../identifiers.js';
import type { Started, Task } from './task.js';

export interface BuildRequest<Options> {
  readonly app: AppName;
  readonly commit: Commit;
  readonly ref: RefName;
  readonly options: Options;
}

/** `raw` is the vendor's own word, for example `UNSTABLE`. */
export type BuildResult = { readonly raw: string } & (
  | {
      readonly outcome: 'passed';
      /** What the vendor says it built; pipit refuses a pass for another commit. */
      readonly commit: CommitSha;
    }
  | { readonly outcome: 'failed' | 'cancelled'; readonly reason: string }
);

/** A file that CI made, for the packager; `path` is relative to the package's root. */
export interface BuildOutput {
  readonly path: string;
  readonly file: StoredFile;
}

/** Builds and tests the exact commit. */
export interface Ci<Options> extends Task<BuildRequest<Options>, BuildResult, 'shell' | 'source' | 'callbackUrl'> {
  collect?(started: Started<BuildRequest<Options>>, op: Op<'shell' | 'files'>): Promise<readonly BuildOutput[]>;
}
