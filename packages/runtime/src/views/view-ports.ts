import type { Commit, Logger, Op, Services } from '@pipit/core';
import type { PipelineCatalog, Records, StepLogs, WorkingPart } from '@pipit/pipeline';
import type { Instances } from '../plugins/instances.js';
import type { GitSources } from '../sources/git-sources.js';

/** What the read side looks at. */
export interface ViewPorts {
  readonly records: Records;
  readonly logs: StepLogs;
  readonly catalog: PipelineCatalog;
  readonly instances: Instances;
  readonly sources: GitSources;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** The context of a look at hosts outside any operation. */
  readonly withOp: <T>(
    name: string,
    part: WorkingPart,
    commit: Commit | undefined,
    work: (op: Op<keyof Services>) => Promise<T>,
  ) => Promise<T>;
}
