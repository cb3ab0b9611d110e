import type { Advertisement } from '@pipit/core';
import { judgeAdvertisement } from '../guard/sequence.js';
import type { PipelineDefinition } from '../ports/parts.js';
import type { RolloutRow } from '../records/rows.js';
import type { OperationPorts } from './operation-ports.js';
import { RECORDED_NEXT } from './recorded-next.js';
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
  const record = (): Promise<void> =>
    records.transaction(async (transaction) => {
      const at = clock.now().toISOString();
      transaction.sendWithCommit(
        transaction.insert('advertisements', { ...ring, sequence: rollout.sequence, document: next, writtenAt: at }),
      );
      transaction.sendWithCommit(transaction.update('rollouts', { id: rollout.id }, { state: 'advertised' }));
    }, RECORDED_NEXT);
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
