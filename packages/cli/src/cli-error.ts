import { PluginError } from '@pipit/core';
import { EXIT, type ExitCode } from './exit-codes.js';

/** Errors of the command line itself, beside those of what it calls. */
type CliCode =
  | 'CLI_USAGE'
  | 'CLI_CONFIG_NOT_FOUND'
  | 'CLI_NO_DATA'
  | 'CLI_NO_SERVER'
  | 'CLI_STRANGERS_FILE'
  | 'CLI_FOLDER_NOT_FOUND'
  | 'CLI_FILE_NOT_WRITABLE';

/** They mean that the call was wrong, and not that something failed. */
const USAGE_CODES: ReadonlySet<string> = new Set<CliCode | 'CONFIG_INVALID' | 'INVALID_TEXT'>([
  'CLI_USAGE',
  'CLI_CONFIG_NOT_FOUND',
  'CLI_FOLDER_NOT_FOUND',
  'CLI_STRANGERS_FILE',
  'CONFIG_INVALID',
  'INVALID_TEXT',
]);

/** The server's: what supervises it is to start it again. */
const DATABASE_AWAY = 'DATABASE_AWAY_TOO_LONG';

export const exitCodeOfError = (code: string): ExitCode => {
  if (code === DATABASE_AWAY) return EXIT.databaseAway;
  return USAGE_CODES.has(code) ? EXIT.usage : EXIT.failed;
};

export const usageError = (message: string, hint?: string): PluginError =>
  new PluginError({ code: 'CLI_USAGE', message, recovery: 'stop', ...(hint === undefined ? {} : { hint }) });
