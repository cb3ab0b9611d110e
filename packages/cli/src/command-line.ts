import type { Command, OptionValues } from 'commander';
import type { ExitCode } from './exit-codes.js';
import type { Session } from './session.js';

export interface Example {
  readonly run: string;
  readonly what: string;
}

const examplesOfCommand = new WeakMap<Command, readonly Example[]>();

export const examplesOf = (command: Command): readonly Example[] => examplesOfCommand.get(command) ?? [];

/** Adds examples to a command's help; every command has some. */
export const addExamples = (command: Command, examples: readonly Example[]): Command => {
  examplesOfCommand.set(command, examples);
  const width = Math.max(...examples.map(({ run }) => run.length));
  const lines = examples.map(({ run, what }) => `  $ ${run.padEnd(width)}  ${what}`);
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
};

/** What a command does when it is called; nothing returned is success. */
export type Work<Options extends OptionValues> = (
  session: Session,
  call: { readonly args: readonly string[]; readonly options: Options },
) => Promise<ExitCode | undefined>;

export interface LaunchOptions {
  readonly logLevel?: 'info' | 'warn';
}

/** Makes the session of a call and runs its work in it. */
export type Launch = <Options extends OptionValues>(command: Command, work: Work<Options>, options?: LaunchOptions) => void;

/** An argument that commander has made sure of. */
export const required = (args: readonly string[], at: number): string => {
  const value = args[at];
  if (value === undefined) throw new TypeError(`Argument ${at} is not declared as required`);
  return value;
};
