import type { Command } from 'commander';
import { addExamples, type Launch, required } from '../command-line.js';
import { withConnection } from '../connect.js';
import { type ActOptions, finishAct } from './promote.js';

export const addRollbackCommand = (program: Command, launch: Launch): void => {
  const command = program
    .command('rollback')
    .argument('<app>', 'for example web')
    .description('bring a ring back: the canary to what production runs, any other ring to its release before')
    .option('--ring <ring>', 'the ring to bring back (default: the last one)')
    .option('--reason <text>', 'why, for the audit trail')
    .option('--wait', 'wait until the rollout has ended');
  addExamples(command, [
    { run: 'pipit rollback web --reason "orders fail"', what: 'production goes back' },
    { run: 'pipit rollback web --ring canary --wait', what: "the canary goes back to production's release" },
  ]);
  launch<ActOptions>(command, (session, { args, options }) =>
    withConnection(session, async (connection) => {
      const { ring, reason } = options;
      await connection.begin();
      const begun = await connection.api.rollback({
        app: required(args, 0),
        ...(ring === undefined ? {} : { ring }),
        ...(reason === undefined ? {} : { reason }),
      });
      return finishAct(session, connection, begun, { wait: options.wait === true, verb: 'Bringing back' });
    }),
  );
};
