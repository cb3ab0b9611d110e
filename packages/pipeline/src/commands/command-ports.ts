import type { Actor } from '../audit.js';
import type { PipelineClock } from '../ports/clock.js';
import type { PipelineCatalog } from '../ports/parts.js';
import type { Records } from '../ports/records.js';
import type { RunId } from '../records/ids.js';

export interface CommandPorts {
  readonly records: Records;
  readonly catalog: PipelineCatalog;
  readonly clock: PipelineClock;
  readonly wakeRun: (runId: RunId) => void;
}

export interface Asked {
  readonly actor: Actor;
  readonly reason?: string;
}
