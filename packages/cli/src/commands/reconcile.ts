import type { Command } from 'commander';
import { addExamples, type Launch } from '../command-line.js';
import { withConnection } from '../connect.js';

export const addReconcileCommand = (program: Command, launch: Launch): void => {
  const command = program
    .command('reconcile')
    .description('lift a quarantine (after a restored backup): take what is advertised outside as where the rings stand')
    .requiredOption('--reason <text>', 'why, for the audit trail');
  addExamples(command, [{ run: 'pipit reconcile --reason "restored the backup of Monday"', what: 'tells what it took over' }]);
  launch<{ readonly reason: string }>(command, (session, { options }) =>
    withConnection(session, async ({ api }) => {
      const taken = await api.reconcile({ reason: options.reason });
      session.show(taken, () =>
        taken.rings.length === 0
          ? ['Nothing outside was ahead']
          : taken.rings.map(({ ring, sequence }) => `${ring} stands at sequence ${sequence}`),
      );
      return undefined;
    }),
  );
};
