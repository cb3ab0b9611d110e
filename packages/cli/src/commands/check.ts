import { formatProblems } from '@pipit/config';
import type { Command } from 'commander';
import { addExamples, type Launch } from '../command-line.js';
import { locateConfig, readConfig } from '../config-file.js';
import { EXIT } from '../exit-codes.js';

export const addCheckCommand = (program: Command, launch: Launch): void => {
  const command = program
    .command('check')
    .description('check the config file: every problem at once, with line, column and what to do; exits with 2 when there is one');
  addExamples(command, [
    { run: 'pipit check', what: 'the config file of this folder' },
    { run: 'pipit check --config /etc/pipit/pipit.config.yaml', what: 'another one' },
    { run: 'pipit check --json', what: 'for an editor or CI' },
  ]);
  launch(command, async (session) => {
    const result = await readConfig(session);
    if (!result.ok) {
      session.show({ ok: false, problems: result.problems, warnings: [] }, () => []);
      if (!session.options.json) session.world.stderr.write(`${formatProblems(result.problems)}\n`);
      return EXIT.usage;
    }
    const pipelines = Object.keys(result.config.pipelines);
    session.show({ ok: true, problems: [], warnings: result.warnings }, () => [
      `${session.paint.green('✓')} ${locateConfig(session)} is right: ${pipelines.length === 1 ? 'pipeline' : 'pipelines'} ${pipelines.join(', ')}`,
    ]);
    if (result.warnings.length > 0) session.note(formatProblems(result.warnings));
    return EXIT.ok;
  });
};
