import { explainSystemError, isPluginError } from '@pipit/core';
import { exitCodeOfError } from './cli-error.js';
import type { ExitCode } from './exit-codes.js';
import { cleanBlock } from './render/clean-text.js';
import type { Paint } from './render/paint.js';

export interface ShownError {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** Anything thrown, as a person or a script is told of it. */
export const describeError = (given: unknown): ShownError => {
  const thrown = explainSystemError(given);
  if (isPluginError(thrown))
    return { code: thrown.code, message: thrown.message, ...(thrown.hint === undefined ? {} : { hint: thrown.hint }) };
  return {
    code: 'CLI_UNEXPECTED',
    message: thrown instanceof Error ? thrown.message : String(thrown),
    hint: 'This is a mistake of pipit. Run it again with -v and report what it says.',
  };
};

/** An error as lines for a terminal: what, its code, what to do. */
export const renderError = ({ code, message, hint }: ShownError, paint: Paint): readonly string[] => [
  `${paint.red('error')}: ${cleanBlock(message)}  ${paint.dim(`[${code}]`)}`,
  ...(hint === undefined ? [] : [`  ${paint.cyan('hint')}: ${cleanBlock(hint)}`]),
];

export const exitCodeOfThrown = (thrown: unknown): ExitCode => exitCodeOfError(describeError(thrown).code);
