import { resolve } from 'node:path';
import type { Command } from 'commander';
import { addExamples, type Launch } from '../command-line.js';
import { EXIT } from '../exit-codes.js';
import type { LintFinding } from '../lint/finding.js';
import { lintRepository } from '../lint/lint-repository.js';
import { cleanLine } from '../render/clean-text.js';
import type { Paint } from '../render/paint.js';

export const renderLint = (findings: readonly LintFinding[], paint: Paint): readonly string[] =>
  findings.flatMap(({ rule, level, where, what, hint }) => [
    `${level === 'error' ? paint.red('error') : paint.yellow('warning')}: ${cleanLine(where)}: ${cleanLine(what)}  ${paint.dim(`[${rule}]`)}`,
    `  ${paint.cyan('do')}: ${cleanLine(hint)}`,
  ]);

export const addLintCommand = (program: Command, launch: Launch): void => {
  const command = program
    .command('lint')
    .argument('[folder]', 'a working copy', '.')
    .description('check the conventions of a delivered repository: scripts, pipit.yaml, unit files; exits with 1 when one is broken');
  addExamples(command, [
    { run: 'pipit lint', what: 'this working copy' },
    { run: 'pipit lint ../web --json', what: 'another one, for CI' },
  ]);
  launch(command, async (session, { args }) => {
    const findings = await lintRepository(resolve(session.world.folder, args[0] ?? '.'));
    const isRight = findings.every(({ level }) => level !== 'error');
    session.show({ ok: isRight, findings }, () => [
      ...renderLint(findings, session.paint),
      ...(isRight ? [`${session.paint.green('✓')} pipit can deliver this repository`] : []),
    ]);
    return isRight ? EXIT.ok : EXIT.failed;
  });
};
