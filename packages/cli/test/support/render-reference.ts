import type { Command, Option } from 'commander';
import { examplesOf } from '../../src/command-line.js';
import { EXIT_MEANINGS } from '../../src/program.js';

/** A cell of a Markdown table. */
const cell = (text: string): string => text.replaceAll('|', '\\|');

const optionTable = (options: readonly Option[]): readonly string[] =>
  options.length === 0
    ? []
    : [
        '',
        '| option | |',
        '|---|---|',
        ...options.map(({ flags, description, mandatory, argChoices, defaultValue }) => {
          const notes = [
            ...(mandatory ? ['required'] : []),
            ...(argChoices === undefined ? [] : [argChoices.map((choice) => `\`${choice}\``).join(', ')]),
            ...(typeof defaultValue === 'string' ? [`default: \`${defaultValue}\``] : []),
          ];
          return `| \`${cell(flags)}\` | ${cell(description)}${notes.length === 0 ? '' : ` (${cell(notes.join('; '))})`} |`;
        }),
      ];

const ownOptions = (command: Command): readonly Option[] =>
  command.options.filter((option) => !option.hidden && option.long !== '--version');

const exampleBlock = (command: Command): readonly string[] => [
  '',
  '```sh',
  ...examplesOf(command).flatMap(({ run, what }, at) => [...(at === 0 ? [] : ['']), `# ${what}`, run]),
  '```',
];

const commandSection = (command: Command): readonly string[] => {
  const help = command.createHelp();
  const parent = command.parent?.parent ? `${command.parent.name()} ` : '';
  // A group is explained by its commands.
  if (command.commands.length > 0) return command.commands.flatMap(commandSection);
  const argumentsWithText = command.registeredArguments.filter(({ description }) => description !== '');
  return [
    '',
    `## pipit ${parent}${command.name()}`,
    '',
    `${help.commandDescription(command).replace(/^./, (first) => first.toUpperCase())}.`,
    '',
    '```text',
    help.commandUsage(command),
    '```',
    ...(argumentsWithText.length === 0
      ? []
      : [
          '',
          '| argument | |',
          '|---|---|',
          ...argumentsWithText.map(
            (argument) =>
              `| \`${argument.required ? `<${argument.name()}>` : `[${argument.name()}]`}\` | ${cell(argument.description)}${argument.defaultValue === undefined ? '' : ` (default: \`${String(argument.defaultValue)}\`)`} |`,
          ),
        ]),
    ...optionTable(ownOptions(command)),
    ...exampleBlock(command),
  ];
};

/** docs/reference/cli.md, made from what the command says of itself. */
export const renderReference = (program: Command): string =>
  `${[
    '# The `pipit` command',
    '',
    '<!-- Made from the command itself: `npx vitest run packages/cli/test/reference.test.ts -u` writes it, and that test fails when it is out of date. -->',
    '',
    program.description(),
    '',
    'A command that needs data asks the server that runs on the data folder. Where none runs, it opens the data itself: it only looks, except that',
    '`promote`, `rollback` and `cancel` do their work to the end before they return. A server takes whoever may read its data folder;',
    'others need a token (`pipit token create`).',
    '',
    'With `--json` the answer is one JSON document on stdout (`run show --watch` and `logs --follow`: one a line); an error is',
    '`{"error":{"code","message","hint"}}` on stderr. Errors are explained under [errors](errors/cli.md). Off a terminal, and in CI, nothing is drawn',
    'over: each change is a line. `NO_COLOR` turns colours off.',
    '',
    '## Exit codes',
    '',
    '| code | |',
    '|---|---|',
    ...EXIT_MEANINGS.map(([code, meaning]) => `| ${code} | ${meaning} |`),
    '',
    '## Options of every command',
    ...optionTable(ownOptions(program)),
    ...exampleBlock(program),
    ...program.commands.flatMap(commandSection),
  ].join('\n')}\n`;
