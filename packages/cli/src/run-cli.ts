import { requireStorable } from '@pipit/core';
import { type Command, CommanderError } from 'commander';
import { usageError } from './cli-error.js';
import type { Launch } from './command-line.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { createProgram } from './program.js';
import { createPaint } from './render/paint.js';
import { describeError, exitCodeOfThrown, renderError } from './report-error.js';
import { createSession, type GlobalOptions, isColoured } from './session.js';
import type { World } from './world.js';

/** Reason of an aborted {@link Session.signal}. */
class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

const report = (thrown: unknown, world: World, isJson: boolean, isVerbose: boolean): void => {
  const error = describeError(thrown);
  if (isJson) world.stderr.write(`${JSON.stringify({ error })}\n`);
  else for (const line of renderError(error, createPaint(isColoured(world.stderr, world.environment)))) world.stderr.write(`${line}\n`);
  if (isVerbose && thrown instanceof Error && thrown.stack !== undefined) world.stderr.write(`${thrown.stack}\n`);
};

/** What commander says of a wrong call, as an error of ours: `error: unknown command 'promot'`, then `(Did you mean promote?)`. */
const asUsageError = ({ message }: CommanderError): Error => {
  const [, fact = message, suggestion] = /^error: (.*?)(?:\n\((.*)\))?$/s.exec(message.trim()) ?? [];
  return usageError(`${fact.charAt(0).toUpperCase()}${fact.slice(1)}`, suggestion ?? 'See `pipit --help`.');
};

/** Commander says "no error" with an error when help or the version was asked for. */
const isHelp = ({ exitCode, code }: CommanderError): boolean =>
  exitCode === 0 || code === 'commander.help' || code === 'commander.helpDisplayed';

const forEveryCommand = (command: Command, act: (command: Command) => void): void => {
  act(command);
  for (const each of command.commands) forEveryCommand(each, act);
};

/** Node puts U+FFFD in the place of what is not UTF-8 on the command line; a name or a reason would be stored as something else than was given. */
const requireText = (words: readonly string[]): void => {
  for (const word of words) {
    requireStorable(word, 'the command line');
    if (word.includes('\uFFFD')) throw usageError(`The command line has text that is not UTF-8: ${word}`, 'Give it in UTF-8.');
  }
};

/**
 * Runs the `pipit` command once.
 *
 * @param words what follows `pipit` on the command line
 * @returns the exit code; nothing is thrown
 */
export const runCli = async (words: readonly string[], world: World): Promise<ExitCode> => {
  let exitCode: ExitCode = EXIT.ok;
  const interruption = new AbortController();
  const stopListening = world.onSignal(() => {
    if (interruption.signal.aborted) world.exitNow(EXIT.interrupted);
    else interruption.abort(new Interrupted('Interrupted'));
  });
  const launch: Launch = (command, work, launchOptions = {}) => {
    command.action(async () => {
      const options: GlobalOptions = command.optsWithGlobals();
      const session = createSession({ world, options, signal: interruption.signal, ...launchOptions });
      exitCode = (await work(session, { args: command.args, options: command.opts() })) ?? EXIT.ok;
    });
  };
  const program = createProgram(world.version, launch);
  forEveryCommand(program, (command) =>
    command.exitOverride().configureOutput({
      writeOut: (text) => world.stdout.write(text),
      // Wrong calls are reported as every other error.
      writeErr: () => undefined,
      outputError: () => undefined,
      getOutHelpWidth: () => world.stdout.columns,
      getOutHasColors: () => isColoured(world.stdout, world.environment),
    }),
  );
  const isJson = words.includes('--json');
  const isVerbose = words.includes('-v') || words.includes('--verbose');
  try {
    requireText(words);
    if (words.length === 0) {
      program.outputHelp();
      return EXIT.usage;
    }
    await program.parseAsync([...words], { from: 'user' });
    return exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      if (isHelp(thrown)) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
      report(asUsageError(thrown), world, isJson, false);
      return EXIT.usage;
    }
    if (interruption.signal.aborted) return EXIT.interrupted;
    report(thrown, world, isJson, isVerbose);
    return exitCodeOfThrown(thrown);
  } finally {
    stopListening();
  }
};
