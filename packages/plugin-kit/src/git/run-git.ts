import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Credentials, PluginError } from '@pipit/core';
import { minimalEnvironment } from '../command/minimal-environment.js';
import { runCommand } from '../command/run-command.js';

/** A fetch of a large repository over a slow line. */
const DEFAULT_GIT_TIMEOUT_MS = 10 * 60_000;

/**
 * Answers git's two questions (`Username for 'https://host': `, `Password for 'https://user@host': `) from the environment, so that no
 * credential stands in an argument or a file. A server that this one redirects to is told nothing.
 */
const ASKPASS = `#!/bin/sh
case "$1" in
  "Username for '$PIPIT_GIT_SCHEME//$PIPIT_GIT_HOST': ") printf "%s\\n" "$PIPIT_GIT_USERNAME" ;;
  "Password for '$PIPIT_GIT_SCHEME//"*"@$PIPIT_GIT_HOST': ") printf "%s\\n" "$PIPIT_GIT_PASSWORD" ;;
  *) echo "the server sent git to another one, which is told no credential" >&2; exit 1 ;;
esac
`;

/** git without the machine's or anybody's configuration, prompts, hooks or helpers. */
const gitEnvironment = (home: string): Record<string, string> => ({
  ...minimalEnvironment(home),
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  // A bare repository on this machine may belong to another user; pipit only reads it.
  GIT_CONFIG_COUNT: '4',
  GIT_CONFIG_KEY_0: 'safe.directory',
  GIT_CONFIG_VALUE_0: '*',
  GIT_CONFIG_KEY_1: 'protocol.ext.allow',
  GIT_CONFIG_VALUE_1: 'never',
  GIT_CONFIG_KEY_2: 'core.hooksPath',
  GIT_CONFIG_VALUE_2: '/dev/null',
  GIT_CONFIG_KEY_3: 'credential.helper',
  GIT_CONFIG_VALUE_3: '',
});

const credentialEnvironment = async ({ url, ...credentials }: GitCredentials, folder: string): Promise<Record<string, string>> => {
  if ('password' in credentials) {
    const { protocol, host } = new URL(url);
    const askpass = join(folder, 'askpass');
    await writeFile(askpass, ASKPASS, { mode: 0o700 });
    return {
      GIT_ASKPASS: askpass,
      PIPIT_GIT_SCHEME: protocol,
      PIPIT_GIT_HOST: host,
      PIPIT_GIT_USERNAME: credentials.username,
      PIPIT_GIT_PASSWORD: credentials.password.reveal(),
    };
  }
  const key = join(folder, 'key');
  const knownHosts = join(folder, 'known_hosts');
  await writeFile(key, credentials.privateKey.reveal(), { mode: 0o600 });
  await writeFile(knownHosts, credentials.knownHosts, { mode: 0o600 });
  return {
    GIT_SSH_COMMAND: `ssh -F /dev/null -i '${key}' -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile='${knownHosts}'`,
  };
};

/** A credential, and the address of the repository that it is for: no other server is told it. */
export type GitCredentials = Credentials & { readonly url: string };

export interface GitOptions {
  /** A folder of the caller's own, for what a credential needs while git runs. */
  readonly home: string;
  readonly signal: AbortSignal;
  readonly credentials?: GitCredentials | undefined;
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds; default ten minutes. */
  readonly timeoutMs?: number;
}

/**
 * Runs git and gives its standard output. A credential is in its environment only, or for ssh in a folder that is gone when git has ended.
 *
 * @throws PluginError `GIT_FAILED` (retry: networks come back) for an exit status other than 0, and those of {@link runCommand}
 */
export const runGit = async (argv: readonly string[], options: GitOptions): Promise<string> => {
  const folder = options.credentials === undefined ? undefined : await mkdtemp(join(options.home, 'git-'));
  try {
    const credentials =
      options.credentials === undefined || folder === undefined ? {} : await credentialEnvironment(options.credentials, folder);
    const result = await runCommand(['git', ...argv], {
      cwd: options.home,
      env: { ...gitEnvironment(options.home), ...credentials, ...options.env },
      signal: options.signal,
      timeoutMs: options.timeoutMs ?? DEFAULT_GIT_TIMEOUT_MS,
    });
    if (result.exitCode === 0) return result.stdout;
    throw new PluginError({
      code: 'GIT_FAILED',
      message: `git ${argv[0] === '--git-dir' ? (argv[2] ?? '') : (argv[0] ?? '')} failed (${result.exitCode}): ${result.stderr.trim().split('\n').at(-1) ?? ''}`,
      hint: 'Check that pipit can reach and may read the repository.',
      recovery: 'retry',
    });
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
};
