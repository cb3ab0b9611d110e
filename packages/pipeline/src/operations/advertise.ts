import type { Advertisement } from '@pipit/core';
import { judgeAdvertisement } from '../guard/sequence.js';
import type { PipelineDefinition } from '../ports/parts.js';
import type { RolloutRow } from '../records/rows.js';
import type { OperationPorts } from './operation-ports.js';
import { WRITTEN_ONCE } from './recorded-next.js';
import type { StepTools } from './run-step.js';
import { StepFailed } from './step-failed.js';

/** Conflicts in a row before the step gives up and is tried again later: somebody else writes all the time. */
const MAX_CONFLICTS = 20;

/** Says in discovery what the ring should run. After a failed check-and-set: read again, and decide by the sequence. */
export const advertise = async (
  ports: OperationPorts,
  tools: StepTools,
  definition: PipelineDefinition,
  rollout: RolloutRow,
): Promise<'written' | 'was there'> => {
  const { advertiser } = definition;
  const { records, clock } = ports;
  const ring = { app: rollout.app, role: rollout.role, ring: rollout.ring };
  const next: Advertisement = { version: rollout.version, sequence: rollout.sequence, artifacts: rollout.artifacts };
  // Each for itself, and together one round trip: were one of them lost, the step would be entered again and store both.
  const record = async (): Promise<void> => {
    const row = { ...ring, sequence: rollout.sequence, document: next, writtenAt: clock.now().toISOString() };
    await Promise.all([
      records.transaction((transaction) => transaction.insert('advertisements', row), WRITTEN_ONCE),
      records.transaction((transaction) => transaction.update('rollouts', { id: rollout.id }, { state: 'advertised' }), WRITTEN_ONCE),
    ]);
  };
  for (let conflicts = 0; conflicts < MAX_CONFLICTS; conflicts += 1) {
    const outcome = await tools.effect({ part: advertiser, folder: 'none' }, async (op) => {
      const { current, cursor } = await advertiser.subject.read({ ring, options: advertiser.options }, op);
      const verdict = judgeAdvertisement(current, next);
      if (verdict === 'superseded')
        throw new StepFailed({
          code: 'ADVERTISE_SUPERSEDED',
          message: `${advertiser.instance} advertises ${current?.version} (rollout ${current?.sequence}) for ${ring.ring}, newer than rollout ${next.sequence}`,
          hint: 'A newer rollout has written there; nothing is to be done for this one.',
        });
      if (verdict === 'done') return 'done';
      return advertiser.subject.write({ ring, next, expected: cursor, options: advertiser.options }, op);
    });
    if (outcome === 'conflict') continue;
    await record();
    return outcome === 'done' ? 'was there' : 'written';
  }
  throw new StepFailed({
    code: 'ADVERTISE_CONTESTED',
    message: `Somebody else keeps writing the advertised version of ${ring.app} in ${ring.ring}`,
    hint: 'Find out what else writes there; pipit must be the only one.',
  });
};
