import type { RunRow } from '../records/rows.js';

/** What a run that a person's command begins does not take over from the app's latest run. */
export const FRESH_RUN = {
  author: null,
  eventId: null,
  state: 'active',
  completedStages: [],
  waitingFor: null,
  dueAt: null,
  waitedMs: 0,
  dueAfterMs: null,
  outcome: null,
  reason: null,
  failure: null,
  attempt: 1,
  cancelRequestedBy: null,
  endedAt: null,
} as const satisfies Partial<RunRow>;
