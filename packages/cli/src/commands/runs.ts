import type { Api } from '@pipit/runtime';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { addExamples, type Launch } from '../command-line.js';
import { withConnection } from '../connect.js';
import { cleanLine } from '../render/clean-text.js';
import { formatAge } from '../render/format-time.js';
import type { Paint } from '../render/paint.js';
import { shortRef, shortSha } from '../render/render-summary.js';
import { type Run, readRunResult } from '../render/run-result.js';
import { renderTable } from '../render/table.js';

const RUN_STATES = ['active', 'waiting', 'ended'] as const;
const MAX_PAGE = 200;

/** The number of rows to show. */
export const parseLimit = (text: string): number => {
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) throw new InvalidArgumentError(`Expected a number from 1 to ${MAX_PAGE}.`);
  return limit;
};

const stateWord = (run: Run, paint: Paint): string => {
  switch (readRunResult(run)) {
    case 'succeeded':
      return paint.green('succeeded');
    case 'rolled-back':
      return paint.yellow('rolled-back');
    case 'failed':
      return paint.red(run.outcome ?? 'failed');
    case 'waiting':
      return paint.cyan('waiting');
    case 'under-way':
      return paint.cyan(run.state === 'waiting' ? 'waiting' : 'active');
  }
};

export const renderRuns = (runs: readonly Run[], now: Date, paint: Paint): readonly string[] =>
  renderTable<Run>(
    [
      { title: 'RUN', cell: (run) => run.id },
      { title: 'KIND', cell: (run) => run.kind },
      { title: 'STATE', cell: (run) => stateWord(run, paint) },
      { title: 'STAGE', cell: (run) => run.stage },
      { title: 'COMMIT', cell: (run) => `${shortRef(run.ref)} ${shortSha(run.sha)}` },
      { title: 'VERSION', cell: (run) => run.version ?? '-' },
      { title: 'AGE', cell: (run) => formatAge(run.createdAt, now), align: 'right' },
      { title: 'WHY', cell: (run) => cleanLine(run.reason ?? '') },
    ],
    runs,
    paint,
  );

export interface ListOptions {
  readonly limit?: number;
  readonly before?: string;
}

/** The options of every list. */
export const addListOptions = (command: Command): Command =>
  command
    .option('-n, --limit <number>', `how many, 1 to ${MAX_PAGE} (default: 50)`, parseLimit)
    .option('--before <cursor>', 'the next page: what the page before named as its end');

export const pageQuery = ({ limit, before }: ListOptions) => ({
  ...(limit === undefined ? {} : { limit }),
  ...(before === undefined ? {} : { before }),
});

type RunQuery = NonNullable<Parameters<Api['listRuns']>[0]>;

export const addRunsCommand = (program: Command, launch: Launch): void => {
  const command = program
    .command('runs')
    .description('list runs, newest first')
    .option('--app <app>', 'only those of one app')
    .addOption(new Option('--state <state>', 'only those in one state').choices(RUN_STATES));
  addListOptions(command);
  addExamples(command, [
    { run: 'pipit runs', what: 'the last 50' },
    { run: 'pipit runs --app web --state waiting', what: 'what waits for somebody' },
    { run: "pipit runs --json | jq -r '.rows[].id'", what: 'for a script' },
  ]);
  launch<ListOptions & Pick<RunQuery, 'app' | 'state'>>(command, (session, { options }) =>
    withConnection(session, async ({ api }) => {
      const { app, state } = options;
      const page = await api.listRuns({
        ...pageQuery(options),
        ...(app === undefined ? {} : { app }),
        ...(state === undefined ? {} : { state }),
      });
      session.show(page, () => renderRuns(page.rows, session.world.now(), session.paint));
      if (page.rows.length === 0) session.note('No runs yet: push a commit.');
      if (page.next !== null) session.note(`More: pipit runs --before ${page.next}`);
      return undefined;
    }),
  );
};
