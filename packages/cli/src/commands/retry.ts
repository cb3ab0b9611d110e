import type { Command } from 'commander';
import { addExamples, type Launch, required } from '../command-line.js';
import { withConnection } from '../connect.js';
import { waitForRun } from './wait-option.js';

interface RetryOptions {
  readonly reason?: string;
  readonly wait?: boolean;
}

export const addRetryCommand = (program: Command, launch: Launch): void => {
  const command = program
    .command('retry')
    .argument('<run>', 'for example web-12')
    .description('continue a failed run at the stage that failed; refused, with the reason, for any other run')
    .option('--reason <text>', 'why, for the audit trail')
    .option('--wait', 'wait until it has ended or waits for a promotion');
  addExamples(command, [
    { run: 'pipit retry web-12', what: 'the disk has room again: the run goes on' },
    { run: 'pipit retry web-12 --reason "disk was full" --wait', what: 'returns when it has ended' },
  ]);
  launch<RetryOptions>(command, (session, { args, options }) =>
    withConnection(session, async (connection) => {
      await connection.begin();
      const { reason } = options;
      const begun = await connection.api.retry({ runId: required(args, 0), ...(reason === undefined ? {} : { reason }) });
      const said = `Run ${begun.runId} goes on at ${begun.stage}, try ${begun.attempt}`;
      if (options.wait !== true && connection.mode === 'server') {
        session.show(begun, () => [said]);
        session.note(`Follow it: pipit run show ${begun.runId} --watch`);
        return undefined;
      }
      session.note(said);
      const watched = await waitForRun(session, connection.api, begun.runId, { isShown: true });
      if (session.options.json) session.show({ ...begun, run: watched.detail.run }, () => []);
      return watched.exitCode;
    }),
  );
};
