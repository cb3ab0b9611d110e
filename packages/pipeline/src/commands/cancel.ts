import { appendAudit } from '../audit.js';
import type { RunId } from '../records/ids.js';
import { refuse } from './command-error.js';
import type { Asked, CommandPorts } from './command-ports.js';

/** Asks a run to end before its next effect. A rollout under way is never cut off: it ends, and then the run goes no further. */
export const cancel = async ({ records, clock, wakeRun }: CommandPorts, request: Asked & { readonly runId: RunId }): Promise<void> => {
  await records.transaction(async (transaction) => {
    const run = await transaction.get('runs', { id: request.runId });
    if (run === undefined) return refuse({ code: 'RUN_UNKNOWN', message: `There is no run ${request.runId}`, hint: 'See `pipit runs`.' });
    if (run.state === 'ended')
      return refuse({ code: 'RUN_ENDED', message: `Run ${run.id} has ended: ${run.outcome ?? ''}`, hint: 'There is nothing to cancel.' });
    const at = clock.now();
    await transaction.update('runs', { id: run.id }, { cancelRequestedBy: request.actor.name, updatedAt: at.toISOString() });
    await appendAudit(transaction, {
      at,
      actor: request.actor,
      action: 'run.cancel',
      subject: run.id,
      detail: { why: request.reason ?? null },
    });
  });
  wakeRun(request.runId);
};
