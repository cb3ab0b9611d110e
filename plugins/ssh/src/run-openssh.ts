import { isPluginError, type RunResult } from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';
import { sshNotInstalled } from './ssh-not-installed.js';

/** How long a program may take that asks no host. A `Match exec` of the ssh_config may ask somebody. */
const TIMEOUT_MS = 10_000;

/**
 * Runs a program of OpenSSH that answers from this machine alone. A non-zero exit is a result.
 *
 * @throws PluginError `SSH_NOT_INSTALLED` (stop)
 */
export const runOpenssh = async (argv: readonly string[], folder: string, signal: AbortSignal): Promise<RunResult> => {
  try {
    return await runCommand(argv, { cwd: folder, env: minimalEnvironment(folder), signal, timeoutMs: TIMEOUT_MS });
  } catch (thrown) {
    const isMissing = isPluginError(thrown) && (thrown.code === 'COMMAND_NOT_FOUND' || thrown.code === 'COMMAND_NOT_STARTED');
    throw isMissing ? sshNotInstalled(argv[0] ?? 'ssh', thrown) : thrown;
  }
};
