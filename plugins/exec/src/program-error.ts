import { isPluginError, PluginError, type Recovery } from '@pipit/core';

/** One call of a program, as errors name it. */
export interface ProgramCall {
  /** The program's path, as the config has it. */
  readonly program: string;
  /** For example `ci.start`. */
  readonly method: string;
  /** What may be done when the program ended without an answer. */
  readonly recovery: Recovery;
}

/** A wrong answer stays wrong when it is asked for again; but an effect may have happened. */
const afterAnswer = (recovery: Recovery): Recovery => (recovery === 'reconcile' ? 'reconcile' : 'stop');

const lastLines = (text: string): string => text.trim().split('\n').slice(-3).join(' / ').slice(0, 1_000);

export const notRun = ({ program, method }: ProgramCall, exitCode: number): PluginError =>
  new PluginError({
    code: 'EXEC_PROGRAM_NOT_RUN',
    message: `${program} could not be run for ${method} (${exitCode === 127 ? 'not found' : 'not executable'})`,
    hint: 'Make it executable (chmod +x) and look at its first line: the interpreter must be there. With `on:` the program must be on that host, at the same path.',
    recovery: 'stop',
  });

export const ended = ({ program, method, recovery }: ProgramCall, exitCode: number, stderr: string): PluginError =>
  new PluginError({
    code: 'EXEC_PROGRAM_FAILED',
    message: `${program} exited ${exitCode} in ${method}${stderr.trim() === '' ? '' : `: ${lastLines(stderr)}`}`,
    hint: 'A program exits 0 also when it answers with an error; look into its own log.',
    recovery,
  });

export const badAnswer = ({ program, method, recovery }: ProgramCall, problem: string, cause?: unknown): PluginError =>
  new PluginError({
    code: 'EXEC_ANSWER_INVALID',
    message: `${program} gave an answer to ${method} that pipit cannot take: ${problem}`,
    hint: 'docs/plugins/programs.md has the form of each answer.',
    recovery: afterAnswer(recovery),
    cause,
  });

export const tooLarge = ({ program, method, recovery }: ProgramCall, maxBytes: number): PluginError =>
  new PluginError({
    code: 'EXEC_ANSWER_TOO_LARGE',
    message: `${program} answered ${method} with more than ${maxBytes} bytes`,
    hint: 'Bytes of files do not belong into an answer: name a file by its path.',
    recovery: afterAnswer(recovery),
  });

/** What the command threw, in the program's words; anything else is handed on. */
export const commandError = ({ program, method, recovery }: ProgramCall, thrown: unknown): unknown => {
  if (!isPluginError(thrown) || thrown.code !== 'COMMAND_TIMED_OUT') return thrown;
  return new PluginError({
    code: 'EXEC_TIMED_OUT',
    message: `${program} did not answer ${method} in time and was ended`,
    hint: 'Let it answer before the deadline of its request; its own limit is `timeLimitSeconds` of its description.',
    recovery,
    cause: thrown,
  });
};
