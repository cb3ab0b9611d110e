import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { examplesOf } from '../src/command-line.js';
import { createProgram } from '../src/program.js';
import { renderReference } from './support/render-reference.js';

const program = createProgram('0.0.0', () => undefined);
const all = (command: Command): readonly Command[] => [command, ...command.commands.flatMap(all)];

it('docs/reference/cli.md says what the command says of itself', async () => {
  await expect(renderReference(program)).toMatchFileSnapshot('../../../docs/reference/cli.md');
});

it.each(all(program).map((command) => [command.name(), command] as const))(
  '%s has a description and an example that begins with pipit',
  (_name, command) => {
    expect(command.description()).not.toBe('');
    expect(examplesOf(command).map(({ run }) => run)).not.toEqual([]);
    for (const { run } of examplesOf(command)) expect(run).toMatch(/^pipit /);
  },
);

it('every example of the help is a call that the command line takes', async () => {
  const calls = all(program)
    .flatMap(examplesOf)
    .map(({ run }) => run.split(/ (?:[|>]|&&) ?/)[0] ?? '');
  for (const call of calls) {
    const words = [...call.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '').slice(1);
    const fresh = createProgram('0.0.0', (command) => void command.action(() => undefined));
    for (const each of all(fresh)) each.exitOverride().configureOutput({ writeErr: () => undefined, outputError: () => undefined });
    await expect(fresh.parseAsync(words, { from: 'user' }), call).resolves.toBeDefined();
  }
});
