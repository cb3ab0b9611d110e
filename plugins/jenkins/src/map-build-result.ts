import type { BuildResult } from '@pipit/core';
import type { BuiltCommit } from './built-commit.js';
import type { JenkinsOptions } from './config.js';

export type ResultPolicy = Pick<JenkinsOptions, 'unstable' | 'aborted'>;

const passed = (raw: string, built: BuiltCommit): BuildResult =>
  'commit' in built
    ? { outcome: 'passed', raw, commit: built.commit }
    : { outcome: 'failed', raw, reason: `The build passed, but cannot count: ${built.unknown}` };

/** Jenkins' word for how a build ended, as pipit's. Source of the words: hudson.model.Result. */
export const mapBuildResult = (raw: string, shown: string, built: BuiltCommit, policy: ResultPolicy): BuildResult => {
  switch (raw) {
    case 'SUCCESS':
      return passed(raw, built);
    case 'UNSTABLE':
      return policy.unstable === 'passed' ? passed(raw, built) : { outcome: 'failed', raw, reason: `${shown} is UNSTABLE: tests failed` };
    case 'ABORTED':
      return { outcome: policy.aborted, raw, reason: `${shown} was aborted` };
    case 'NOT_BUILT':
      return { outcome: 'failed', raw, reason: `${shown} was not built: an earlier stage prevented it` };
    default:
      return { outcome: 'failed', raw, reason: `${shown} ended as ${raw}` };
  }
};
