import { assertNever, type Notice, type NoticeState } from '@pipit/core';
import type { RunOutcome, RunRow } from '../records/rows.js';

const stateOfOutcome = (outcome: RunOutcome): NoticeState => {
  switch (outcome) {
    case 'succeeded':
    case 'superseded':
    case 'stale':
      return 'done';
    case 'rolled-back':
      return 'rolledBack';
    case 'failed':
    case 'cancelled':
      return 'failed';
    default:
      return assertNever(outcome);
  }
};

const stateOf = (run: RunRow): NoticeState => {
  if (run.outcome !== null) return stateOfOutcome(run.outcome);
  return run.state === 'waiting' && run.waitingFor === 'promotion' ? 'waiting' : 'running';
};

const wordOf = (run: RunRow): string => {
  if (run.outcome !== null) return run.outcome;
  return run.state === 'waiting' ? `waits (${run.waitingFor ?? 'nothing'})` : `is at ${run.stage}`;
};

/** What people are told of a run as it stands. Pure: the same row gives the same notice. */
export const noticeOf = (run: RunRow): Notice => ({
  subject: run.id,
  state: stateOf(run),
  title: `${run.app}${run.version === null ? '' : ` ${run.version}`} ${wordOf(run)}`,
  text: run.reason ?? `Run ${run.id} of ${run.sha.slice(0, 7)} ${wordOf(run)}`,
  ...(run.committedAt === null ? {} : { commit: { repository: run.repository, sha: run.sha, committedAt: run.committedAt } }),
  actions: stateOf(run) === 'waiting' ? ['promote', 'rollback'] : [],
});
