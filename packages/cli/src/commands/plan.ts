import type { PlanView } from '@pipit/runtime';
import type { Command } from 'commander';
import { addExamples, type Launch, required } from '../command-line.js';
import { withConnection } from '../connect.js';
import { EXIT } from '../exit-codes.js';
import { cleanLine } from '../render/clean-text.js';
import type { Paint } from '../render/paint.js';
import { shortSha } from '../render/render-summary.js';
import { renderTable } from '../render/table.js';

export const renderPlan = (plan: PlanView, paint: Paint): readonly string[] => [
  `${paint.bold(plan.app)}  pipeline ${plan.pipeline}  ${shortSha(plan.commit)}  ${plan.version}${plan.published ? ' (published already: it would be adopted)' : ''}`,
  '',
  ...renderTable<PlanView['stages'][number]>(
    [
      { title: 'STAGE', cell: (stage) => stage.name },
      { title: 'WHAT', cell: (stage) => cleanLine(stage.what) },
    ],
    plan.stages,
    paint,
  ).map((line) => `  ${line}`),
  ...plan.rings.flatMap((ring) => [
    '',
    `  ${paint.bold(ring.ring)}  ${ring.runs === null ? 'runs nothing yet' : `runs ${ring.runs}`}`,
    ...ring.hosts.map(
      (host, at) =>
        `  ${at === ring.hosts.length - 1 ? '└─' : '├─'} ${cleanLine(host.id)}${host.available ? '' : paint.yellow('  not available')}`,
    ),
    ...(ring.hosts.length === 0 ? [paint.yellow('  └─ no hosts')] : []),
  ]),
  ...plan.problems.flatMap((problem) => [
    '',
    `${paint.red('✗')} ${cleanLine(problem.message)}  ${paint.dim(`[${problem.code}]`)}`,
    ...(problem.hint === undefined ? [] : [`  ${paint.cyan('do')}: ${cleanLine(problem.hint)}`]),
  ]),
];

/** `main` is `refs/heads/main`. */
export const fullRef = (ref: string): string => (ref.startsWith('refs/') ? ref : `refs/heads/${ref}`);

export const addPlanCommand = (program: Command, launch: Launch): void => {
  const command = program
    .command('plan')
    .argument('<repository>', 'an app that is known, or the address of a repository that a pipeline lists')
    .description('tell what a commit would do, without doing it; exits with 1 when it could not be delivered')
    .option('--ref <ref>', 'a branch, or a full ref', 'main')
    .option('--commit <sha>', "the full commit (default: the ref's head)");
  addExamples(command, [
    { run: 'pipit plan web', what: 'what a push of main would do' },
    { run: 'pipit plan https://git.example.org/acme/web --ref refs/tags/v2', what: 'a repository that was never pushed' },
  ]);
  launch<{ readonly ref: string; readonly commit?: string }>(command, (session, { args, options }) =>
    withConnection(
      session,
      async ({ api }) => {
        const plan = await api.plan({
          repository: required(args, 0),
          ref: fullRef(options.ref),
          ...(options.commit === undefined ? {} : { commit: options.commit }),
        });
        session.show(plan, () => renderPlan(plan, session.paint));
        return plan.problems.length === 0 ? EXIT.ok : EXIT.failed;
      },
      { mayMakeData: true },
    ),
  );
};
