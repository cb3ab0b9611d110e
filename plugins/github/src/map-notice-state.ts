import { assertNever, type NoticeState } from '@pipit/core';

/** GitHub's words for the state of a commit. */
export type CommitState = 'pending' | 'success' | 'failure';
/** GitHub's words for the state of a deployment. */
export type DeploymentState = 'in_progress' | 'pending' | 'success' | 'failure' | 'inactive';

/** What a commit shows. One that was rolled back must not look fit for merging or promotion. */
export const commitStateOf = (state: NoticeState): CommitState => {
  switch (state) {
    case 'running':
    case 'waiting':
      return 'pending';
    case 'done':
      return 'success';
    case 'failed':
    case 'rolledBack':
      return 'failure';
    default:
      return assertNever(state);
  }
};

/** What a deployment shows. After a rollback the environment no longer runs it. */
export const deploymentStateOf = (state: NoticeState): DeploymentState => {
  switch (state) {
    case 'running':
      return 'in_progress';
    case 'waiting':
      return 'pending';
    case 'done':
      return 'success';
    case 'failed':
      return 'failure';
    case 'rolledBack':
      return 'inactive';
    default:
      return assertNever(state);
  }
};
