import { assertNever, type BuildResult, type Ci, parseCommitSha, type TaskState } from '@pipit/core';
import type { SmithyBuild, SmithyClient } from './smithy-client.js';
import type { SmithyOptions } from './smithy-config.js';

/** Pure: Smithy's word to ours. The word itself is kept as `raw`. */
export const mapBuild = ({ status, commit, page }: SmithyBuild): TaskState<BuildResult> => {
  switch (status) {
    case 'waiting':
    case 'running':
      return { state: 'running', url: page };
    case 'green':
      return { state: 'ended', url: page, result: { outcome: 'passed', commit: parseCommitSha(commit), raw: status } };
    case 'red':
      return { state: 'ended', url: page, result: { outcome: 'failed', reason: 'The build is red in Smithy', raw: status } };
    case 'stopped':
      return { state: 'ended', url: page, result: { outcome: 'cancelled', reason: 'Somebody stopped the build in Smithy', raw: status } };
    default:
      return assertNever(status);
  }
};

export const createSmithyCi = (client: SmithyClient): Ci<SmithyOptions> => ({
  find: async ({ options }, { key, signal }) => (await client.findBuild(options.project, key, signal))?.id,
  start: async ({ options, commit }, { key, signal }) => {
    signal.throwIfAborted();
    const { id } = await client.startBuild(options.project, { label: key, commit: commit.sha }, signal);
    return id;
  },
  inspect: async ({ handle, request }, { signal }) => {
    const build = await client.readBuild(request.options.project, handle, signal);
    return build === undefined ? { state: 'lost', reason: `Smithy no longer has build ${handle}` } : mapBuild(build);
  },
});
