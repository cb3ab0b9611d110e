import type { BuildOutput, BuildRequest, BuildResult, CommitSha } from '@pipit/core';
import type { WorkingPart } from '../ports/parts.js';
import { followTask } from './follow-task.js';
import type { OperationPorts } from './operation-ports.js';
import { commitOf } from './read-commit.js';
import { readDefinition } from './read-definition.js';
import { WRITTEN_ONCE } from './recorded-next.js';
import type { OperationScope } from './run-step.js';
import { StepFailed } from './step-failed.js';

export interface BuildOperationResult {
  readonly outputs: readonly BuildOutput[];
}

/** A pass counts only if the build names the commit that the run is for. */
const requirePass = (result: BuildResult, sha: CommitSha): void => {
  if (result.outcome !== 'passed')
    throw result.outcome === 'cancelled'
      ? new StepFailed({ code: 'CI_CANCELLED', message: result.reason }, { cancelled: true })
      : new StepFailed({ code: 'CI_FAILED', message: `CI failed: ${result.reason}`, hint: 'See the log of the await step.' });
  if (result.commit !== sha)
    throw new StepFailed({
      code: 'CI_COMMIT_MISMATCH',
      message: `CI passed commit ${result.commit}, but the run is for ${sha}`,
      hint: 'Make the CI job build exactly the commit that it is given.',
    });
};

/** Builds and tests the exact commit. Steps: fetch, start, await, collect. */
export const runBuild = async (ports: OperationPorts, scope: OperationScope): Promise<BuildOperationResult> => {
  const { catalog, records, sources } = ports;
  const cancellable = { cancellable: true };

  const committedAt = await scope.step(
    'fetch',
    async (tools) => {
      const definition = readDefinition(catalog, scope.run);
      const commit = await sources.fetchCommit(scope.run.repository, scope.run.ref, scope.run.sha, tools.signal);
      const facts = await sources.readFacts(commit, scope.run.app, tools.signal);
      const health = definition.healthOf(scope.run.app) ?? facts.health ?? null;
      await records.transaction(
        (transaction) =>
          transaction.update('runs', { id: scope.run.id }, { committedAt: commit.committedAt, metadata: facts.metadata, health }),
        WRITTEN_ONCE,
      );
      return commit.committedAt;
    },
    cancellable,
  );
  const commit = commitOf({ ...scope.run, committedAt });
  const requestOf = (options: unknown): BuildRequest<unknown> => ({ app: scope.run.app, commit, ref: scope.run.ref, options });
  const effectOf = (part: WorkingPart) => ({ part, commit, folder: 'task', task: 'build' }) as const;

  const handle = await scope.step(
    'start',
    async (tools) => {
      const { ci } = readDefinition(catalog, scope.run);
      const request = requestOf(ci.options);
      return tools.effect(effectOf(ci), async (op) => (await ci.subject.find(request, op)) ?? ci.subject.start(request, op));
    },
    cancellable,
  );

  await scope.step('await', async (tools) => {
    const { ci } = readDefinition(catalog, scope.run);
    const { result } = await followTask(ports, tools, ci.subject, {
      effect: effectOf(ci),
      started: { handle, request: requestOf(ci.options) },
      cancellable: true,
      hint: { instance: ci.instance, commit: commit.sha },
    });
    requirePass(result, commit.sha);
    tools.report(`passed (${result.raw})`);
    return null;
  });

  const outputs = await scope.step(
    'collect',
    async (tools) => {
      const { ci } = readDefinition(catalog, scope.run);
      const { collect } = ci.subject;
      if (collect === undefined) return [];
      return tools.effect(effectOf(ci), (op) => collect.call(ci.subject, { handle, request: requestOf(ci.options) }, op));
    },
    cancellable,
  );
  return { outputs };
};
