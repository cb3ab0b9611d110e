import type { Command } from 'commander';
import { addExamples, type Launch, required } from '../command-line.js';
import { withConnection } from '../connect.js';
import { EXIT } from '../exit-codes.js';
import { didLines } from './promote.js';
import { waitForRun } from './wait-option.js';

interface CancelOptions {
  readonly reason?: string;
  readonly wait?: boolean;
}

export const addCancelCommand = (program: Command, launch: Launch): void => {
  const command = program
    .command('cancel')
    .argument('<run>', 'for example web-12')
    .description('ask a run to end at its next step; a bake ends at once, an install under way on a host is never cut off')
    .option('--reason <text>', 'why, for the audit trail')
    .option('--wait', 'wait until it has ended');
  addExamples(command, [
    { run: 'pipit cancel web-12', what: 'ends at the next step' },
    { run: 'pipit cancel web-12 --reason "wrong branch" --wait', what: 'returns when it has ended' },
  ]);
  launch<CancelOptions>(command, (session, { args, options }) =>
    withConnection(session, async (connection) => {
      const id = required(args, 0);
      await connection.begin();
      const cancelled = await connection.api.cancel({ runId: id, ...(options.reason === undefined ? {} : { reason: options.reason }) });
      if (options.wait !== true && connection.mode === 'server') {
        session.show({ ...cancelled, asked: true }, () => [`Run ${id} was asked to end`, ...didLines(cancelled)]);
        return EXIT.ok;
      }
      for (const line of didLines(cancelled)) session.note(line);
      const { detail } = await waitForRun(session, connection.api, id, {
        isShown: true,
        promotedRing: promotionRing(await connection.api.showRun(id)),
      });
      session.show({ runId: id, run: detail.run }, () => []);
      // A run may have ended by itself before it looked; then it was not cancelled.
      return detail.run.outcome === 'cancelled' ? EXIT.ok : EXIT.failed;
    }),
  );
};

/** A run that waits for a promotion ends too, so that wait is not what is waited for. */
const promotionRing = ({ run }: { readonly run: { readonly stage: string } }): string => run.stage.replace(/^promotion:/, '');
