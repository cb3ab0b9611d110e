import type { Commit } from '@pipit/core';
import type { RunRow } from '../records/rows.js';
import { StepFailed } from './step-failed.js';

/** The run's exact commit. Its time is recorded by the build's first step, so every later stage has it. */
export const commitOf = (run: RunRow): Commit => {
  if (run.committedAt === null)
    throw new StepFailed({ code: 'COMMIT_NOT_FETCHED', message: `Commit ${run.sha} of run ${run.id} was never fetched` });
  return { repository: run.repository, sha: run.sha, committedAt: run.committedAt };
};
