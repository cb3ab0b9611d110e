import type { RingName } from '@pipit/core';
import type { OperationPorts } from './operation-ports.js';
import { policyOf } from './plan-rollout.js';
import { readDefinition } from './read-definition.js';
import { readRelease } from './read-release.js';
import type { OperationScope } from './run-step.js';
import { StepFailed } from './step-failed.js';
import { verifyRollout } from './verify-rollout.js';

/** Judges a ring at the end of its bake: it must still run the release, verified. Steps: judge. */
export const runWatch = async (
  ports: OperationPorts,
  scope: OperationScope,
  input: { readonly ring: RingName },
): Promise<{ readonly reason: string }> => {
  const { catalog, records } = ports;
  const verdict = await scope.step('judge', async (tools) => {
    const definition = readDefinition(catalog, scope.run);
    const rollouts = await records.list('rollouts', {
      where: { runId: scope.run.id, ring: input.ring, purpose: 'forward' },
      orderBy: ['sequence', 'ascending'],
    });
    const rollout = rollouts.at(-1);
    if (rollout === undefined)
      throw new StepFailed({ code: 'ROLLOUT_NOT_RECORDED', message: `Run ${scope.run.id} has no rollout in ${input.ring}` });
    const release = await readRelease(records, rollout.app, rollout.version);
    const verdict = await verifyRollout(ports, tools, definition, { rollout, release, policy: policyOf(scope, definition, input.ring) });
    if (!verdict.verified)
      throw new StepFailed({
        code: 'BAKE_FAILED',
        message: `${input.ring} did not stay well until the end of its bake: ${verdict.reason}`,
        hint: 'See `pipit hosts`.',
      });
    return verdict;
  });

  return { reason: verdict.reason };
};
