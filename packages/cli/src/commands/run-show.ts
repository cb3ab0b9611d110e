import type { Command } from 'commander';
import { addExamples, type Launch, required } from '../command-line.js';
import { requireServer, withConnection } from '../connect.js';
import { renderFailureLog } from '../render/render-failure-log.js';
import { renderRun } from '../render/render-run.js';
import { exitCodeOf, readRunResult } from '../render/run-result.js';
import { waitForRun } from './wait-option.js';

interface ShowOptions {
  readonly wait?: boolean;
  readonly watch?: boolean;
}

export const addRunCommand = (program: Command, launch: Launch): void => {
  const run = program.command('run').description('look at one run');
  addExamples(run, [{ run: 'pipit run show web-12', what: 'its steps and hosts' }]);
  const show = run
    .command('show')
    .argument('<run>', 'for example web-12')
    .description('show the steps and hosts of a run; with --wait or --watch, exits as the run ended')
    .option('--wait', 'wait until it has ended or waits for a promotion, then show it')
    .option('--watch', 'show it while it goes on, until it has ended or waits for a promotion');
  addExamples(show, [
    { run: 'pipit run show web-12', what: 'its steps and hosts now' },
    { run: 'pipit run show web-12 --watch', what: 'live' },
    { run: 'pipit run show web-12 --wait --quiet && echo delivered', what: 'in a script' },
  ]);
  launch<ShowOptions>(show, (session, { args, options }) =>
    withConnection(session, async (connection) => {
      const { api } = connection;
      const id = required(args, 0);
      const { world, paint } = session;
      const seen = await api.showRun(id);
      const follows = options.wait === true || options.watch === true;
      if (follows && readRunResult(seen.run) === 'under-way') requireServer(connection, id);
      if (options.watch === true) return (await waitForRun(session, api, id, { isShown: true, isStreamed: true })).exitCode;
      const detail = options.wait === true ? (await waitForRun(session, api, id, { isShown: false })).detail : seen;
      const result = readRunResult(detail.run);
      const hasFailed = result === 'failed' || result === 'rolled-back';
      const log = hasFailed && !session.options.json ? await renderFailureLog(api, detail, paint) : [];
      session.show(detail, () => [
        ...renderRun(detail, { now: world.now(), paint, ...(world.stdout.isTerminal ? { width: world.stdout.columns } : {}) }),
        ...log,
      ]);
      return follows && result !== 'under-way' ? exitCodeOf(result) : undefined;
    }),
  );
};
