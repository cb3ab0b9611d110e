import { PluginError } from '@pipit/core';

/** Characters that no POSIX shell gives a meaning. `=` is not among them: a first word with it would be an assignment. */
const PLAIN = /^[A-Za-z0-9_/:.,@%+-]+$/;

/** Words that a shell reads as syntax in the first place, unless quoted. */
const RESERVED = new Set('if then else elif fi do done case esac while until for in function select time coproc'.split(' '));

const quote = (argument: string): string =>
  PLAIN.test(argument) && !RESERVED.has(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;

/**
 * The one place where arguments become a shell's text: for a command that must pass a remote shell. `sh -c` of it gives the program exactly these arguments.
 *
 * @throws PluginError `ARGUMENT_HAS_NUL` (stop): no operating system can pass that character
 */
export const quoteForShell = (argv: readonly string[]): string => {
  if (argv.some((argument) => argument.includes('\0')))
    throw new PluginError({ code: 'ARGUMENT_HAS_NUL', message: 'An argument of a command holds a NUL character', recovery: 'stop' });
  return argv.map(quote).join(' ');
};
