import { Command } from 'commander';
import { addExamples, type Launch } from './command-line.js';
import { addAppsCommand } from './commands/apps.js';
import { addAuditCommand } from './commands/audit.js';
import { addCancelCommand } from './commands/cancel.js';
import { addCheckCommand } from './commands/check.js';
import { addDoctorCommand } from './commands/doctor.js';
import { addEventsCommand } from './commands/events.js';
import { addHostsCommand } from './commands/hosts.js';
import { addInitCommand } from './commands/init.js';
import { addLintCommand } from './commands/lint.js';
import { addLogsCommand } from './commands/logs.js';
import { addPlanCommand } from './commands/plan.js';
import { addPromoteCommand } from './commands/promote.js';
import { addReconcileCommand } from './commands/reconcile.js';
import { addRetryCommand } from './commands/retry.js';
import { addRollbackCommand } from './commands/rollback.js';
import { addRunCommand } from './commands/run-show.js';
import { addRunsCommand } from './commands/runs.js';
import { addSchemaCommand } from './commands/schema.js';
import { addServeCommand } from './commands/serve.js';
import { addTokenCommand } from './commands/token.js';
import { DEFAULT_CONFIG_FILE } from './config-file.js';
import { EXIT } from './exit-codes.js';

/** The exit codes with their meaning, in the help and in the reference. */
export const EXIT_MEANINGS: readonly (readonly [code: number, meaning: string])[] = [
  [EXIT.ok, 'done; a run that was waited for succeeded'],
  [EXIT.failed, 'it failed, or a check was not passed'],
  [EXIT.usage, 'the command line or the config is wrong; nothing was done'],
  [EXIT.rolledBack, 'the run that was waited for was rolled back'],
  [EXIT.waiting, 'the run that was waited for waits for a promotion'],
  [EXIT.databaseAway, 'the database was away for longer than `database.giveUpAfter`; start pipit again'],
  [EXIT.interrupted, 'interrupted; a second signal ended it at once'],
  [EXIT.killed, 'the second signal found the event loop blocked, so pipit killed itself (SIGKILL)'],
];

/** Commands in the order of a first day with pipit. */
const COMMANDS: readonly ((program: Command, launch: Launch) => void)[] = [
  addInitCommand,
  addCheckCommand,
  addSchemaCommand,
  addLintCommand,
  addDoctorCommand,
  addServeCommand,
  addPlanCommand,
  addRunsCommand,
  addRunCommand,
  addLogsCommand,
  addPromoteCommand,
  addRollbackCommand,
  addCancelCommand,
  addAppsCommand,
  addHostsCommand,
  addEventsCommand,
  addAuditCommand,
  addRetryCommand,
  addReconcileCommand,
  addTokenCommand,
];

/** The whole command line, as data that does nothing until it is parsed. */
export const createProgram = (version: string, launch: Launch): Command => {
  const program = new Command('pipit')
    .description('Delivers software to fleets of hosts the canary way, as packages of their operating system.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'explain a command')
    .option('--config <file>', `the config file (default: PIPIT_CONFIG, else ./${DEFAULT_CONFIG_FILE})`)
    .option('--data <folder>', "the data folder (default: PIPIT_DATA, else the config's)")
    .option('--server <url>', "a server elsewhere (default: PIPIT_SERVER, else the data folder's own)")
    .option('--token <token>', "a token of the server (default: PIPIT_TOKEN, else this user's own in the data folder)")
    .option('--trust', 'take a config and plugins that belong to another user: their code runs as you')
    .option('--json', 'answer in JSON on stdout; logs stay on stderr')
    .option('-q, --quiet', 'nothing beside the answer')
    .option('-v, --verbose', 'log more, on stderr')
    .showHelpAfterError(false)
    .showSuggestionAfterError(true);
  addExamples(program, [
    { run: 'pipit init && pipit check', what: 'a config to begin with' },
    { run: 'pipit serve', what: 'then push a commit' },
    { run: 'pipit promote web', what: 'production gets what the canary runs' },
  ]);
  program.addHelpText(
    'after',
    `\nExit codes:\n${EXIT_MEANINGS.map(([code, meaning]) => `  ${String(code).padEnd(4)} ${meaning}`).join('\n')}`,
  );
  program.configureHelp({ showGlobalOptions: true });
  for (const add of COMMANDS) add(program, launch);
  return program;
};
