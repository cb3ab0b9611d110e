import type { ReleaseRow } from '../records/rows.js';
import { advertise } from './advertise.js';
import { install } from './install.js';
import type { OperationPorts } from './operation-ports.js';
import { planRollout, policyOf, type RolloutInput } from './plan-rollout.js';
import { readDefinition } from './read-definition.js';
import { readRelease } from './read-release.js';
import type { OperationScope } from './run-step.js';
import { StepFailed } from './step-failed.js';
import { verifyRollout } from './verify-rollout.js';

/** Brings one ring to a release. Steps: plan, offer, advertise, install, verify. */
export const runRollout = async (
  ports: OperationPorts,
  scope: OperationScope,
  input: RolloutInput,
): Promise<{ readonly reason: string }> => {
  const { catalog, records } = ports;
  const { run } = scope;

  const rollout = await scope.step('plan', (tools) => planRollout(ports, scope, tools, input), {
    cancellable: input.purpose === 'forward',
  });

  let read: Promise<ReleaseRow> | undefined;
  // A release that is recorded does not change. After a restart it is read again; a read that failed is tried again with its step.
  const readOnce = (): Promise<ReleaseRow> => {
    read ??= readRelease(records, rollout.app, rollout.version);
    read.catch(() => {
      read = undefined;
    });
    return read;
  };

  await scope.step('offer', async (tools) => {
    const { repository } = readDefinition(catalog, run);
    const { offer } = repository.subject;
    if (offer === undefined) return null;
    const ring = { app: rollout.app, role: rollout.role, ring: rollout.ring };
    await records.exclusively(`repository:${repository.instance}`, () =>
      tools.effect({ part: repository, folder: 'attempt' }, (op) =>
        offer.call(repository.subject, { ring, artifacts: rollout.artifacts, options: repository.options }, op),
      ),
    );
    tools.report(`${rollout.ring} sees ${rollout.version} and no other`);
    return null;
  });

  await scope.step('advertise', async (tools) => {
    const outcome = await advertise(ports, tools, readDefinition(catalog, run), rollout);
    tools.report(`${rollout.version} advertised for ${rollout.ring}${outcome === 'written' ? '' : ' (was there)'}`);
    return outcome;
  });

  await scope.step('install', (tools) => install(ports, tools, readDefinition(catalog, run), { rollout, release: readOnce() }));

  const verdict = await scope.step('verify', async (tools) => {
    const definition = readDefinition(catalog, run);
    const release = await readOnce();
    const verdict = await verifyRollout(ports, tools, definition, { rollout, release, policy: policyOf(scope, definition, rollout.ring) });
    if (!verdict.verified)
      throw new StepFailed({
        code: 'ROLLOUT_NOT_VERIFIED',
        message: `${rollout.version} failed in ${rollout.ring}: ${verdict.reason}`,
        hint: 'See `pipit hosts` and the log of the install step.',
      });
    return verdict;
  });

  return { reason: verdict.reason };
};
