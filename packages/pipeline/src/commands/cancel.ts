import { appendAudit } from '../audit.js';
import { decide, stageOf } from '../conduct/decide.js';
import { readView } from '../conduct/read-view.js';
import type { PipelineCatalog } from '../ports/parts.js';
import type { RecordsTransaction } from '../ports/records.js';
import type { RunId } from '../records/ids.js';
import type { RunRow } from '../records/rows.js';
import { refuse } from './command-error.js';
import type { Asked, CommandPorts } from './command-ports.js';

export interface Cancelled {
  readonly runId: RunId;
  /** What the command did and what follows, one sentence each. */
  readonly did: readonly string[];
}

/** Asks a run to end before its next effect. A rollout under way is never cut off: it ends, and then the run goes no further. A bake ends at once. */
export const cancel = async (
  { records, catalog, clock, wakeRun }: CommandPorts,
  request: Asked & { readonly runId: RunId },
): Promise<Cancelled> => {
  const did = await records.transaction(async (transaction) => {
    const found = await transaction.get('runs', { id: request.runId });
    if (found !== undefined) await transaction.lock(`app:${found.app}`);
    const run = found && (await transaction.get('runs', { id: request.runId }));
    if (run === undefined) return refuse({ code: 'RUN_UNKNOWN', message: `There is no run ${request.runId}`, hint: 'See `pipit runs`.' });
    if (run.state === 'ended')
      return refuse({ code: 'RUN_ENDED', message: `Run ${run.id} has ended: ${run.outcome ?? ''}`, hint: 'There is nothing to cancel.' });
    const at = clock.now();
    const cancelRequestedBy = run.cancelRequestedBy ?? request.actor.name;
    await transaction.update('runs', { id: run.id }, { cancelRequestedBy, updatedAt: at.toISOString() });
    const effect = await describeCancel(transaction, { ...run, cancelRequestedBy }, catalog, at);
    const detail = { why: request.reason ?? null, did: effect };
    await appendAudit(transaction, { at, actor: request.actor, action: 'run.cancel', subject: run.id, detail });
    return [effect];
  });
  wakeRun(request.runId);
  return { runId: request.runId, did };
};

/** What the run does now that it is cancelled: the next decision about it, in words. */
const describeCancel = async (transaction: RecordsTransaction, run: RunRow, catalog: PipelineCatalog, now: Date): Promise<string> => {
  const stage = stageOf(run);
  const move = decide(await readView(transaction, run, catalog, now));
  switch (stage?.kind) {
    case 'bake':
      return `ends the bake of ${stage.ring}: ${run.version ?? 'its release'} stays there and counts as failed, for nobody watched it to the end`;
    case 'rollback':
      return move.type === 'end' ? 'ends the run now' : `${stage.ring} goes back all the same: a rollback under way is never cut off`;
    case 'rollout':
      return move.type === 'none'
        ? `the rollout of ${stage.ring} goes on to its end, for an install is never cut off; then the run ends`
        : 'ends the run now';
    case 'operation':
      return move.type === 'none' ? `ends the run at the next step of ${stage.name}` : 'ends the run now';
    case 'promotion':
    case undefined:
      return 'ends the run now';
  }
};
