import type { Logger } from '@pipit/core';
import type { Hints } from '../hints.js';
import type { PipelineClock } from '../ports/clock.js';
import type { PipelineObserver } from '../ports/observer.js';
import type { Effects, PipelineCatalog, Sources } from '../ports/parts.js';
import type { Records, StepLogs } from '../ports/records.js';

/** What operations work with. */
export interface OperationPorts {
  readonly records: Records;
  readonly logs: StepLogs;
  readonly sources: Sources;
  readonly effects: Effects;
  readonly catalog: PipelineCatalog;
  readonly clock: PipelineClock;
  readonly hints: Hints;
  readonly logger: Logger;
  /** From 0 up to 1, for jitter. */
  readonly random: () => number;
  readonly observer: PipelineObserver;
  /** Aborted when pipit stops. */
  readonly stopping: AbortSignal;
  /** Told when an operation has ended, so that its run goes on at once. */
  readonly onOperationEnded: (runId: string) => void;
}
