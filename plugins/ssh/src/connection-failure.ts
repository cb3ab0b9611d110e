import { PluginError } from '@pipit/core';

/** Why no command began on a host: what ssh said, and how it ended. */
export interface FailedConnection {
  readonly address: string;
  /** What ssh, sudo and the login shell printed. */
  readonly said: string;
  readonly exitCode: number;
}

/**
 * - `dropped`: the host answered and hung up (MaxStartups, a restart of sshd): tried again soon.
 * - `unreachable`: nobody answered: tried again once or twice.
 * - `refused`: an answer that does not change by itself.
 */
export type FailureClass = 'dropped' | 'unreachable' | 'refused';

export interface ClassifiedFailure {
  readonly class: FailureClass;
  readonly error: PluginError;
}

interface Rule {
  readonly pattern: RegExp;
  readonly class: FailureClass;
  readonly error: { readonly code: string; readonly fact: string; readonly hint: string };
}

/** What OpenSSH 8 to 9 says, in the order in which it counts: the first line that fits. */
const RULES: readonly Rule[] = [
  {
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED|host key for .* has changed|Host key verification failed[\s\S]*has changed/i,
    class: 'refused',
    error: {
      code: 'SSH_HOST_KEY_CHANGED',
      fact: 'shows another host key than the one that is known',
      hint: 'If the host was installed anew, take its old line out of known_hosts and record the new key; else somebody may stand in between.',
    },
  },
  {
    pattern: /Host key verification failed|No \S+ host key is known for/,
    class: 'refused',
    error: {
      code: 'SSH_HOST_KEY_UNKNOWN',
      fact: 'shows a host key that is not known',
      hint: 'Add the key to `knownHosts` or `knownHostsFile`, or set `hostKeys: record-new` for the first contact.',
    },
  },
  {
    pattern: /Permission denied|Too many authentication failures|no such identity|error in libcrypto|invalid format/,
    class: 'refused',
    error: {
      code: 'SSH_LOGIN_REFUSED',
      fact: 'does not let the user log in',
      hint: 'Put the public key into the authorized_keys of the user that the config names, and try `ssh` by hand as the user that pipit runs as.',
    },
  },
  {
    pattern:
      /Bad configuration option|terminating, \d+ bad configuration|Bad owner or permissions on|Missing argument|unsupported option|illegal option|keyword .* extra arguments/,
    class: 'refused',
    error: {
      code: 'SSH_CONFIG_INVALID',
      fact: 'was not tried, because ssh cannot read its configuration',
      hint: 'Correct the line that ssh names in the ssh_config file.',
    },
  },
  {
    pattern: /^sudo: /m,
    class: 'refused',
    error: {
      code: 'SSH_SUDO_REFUSED',
      fact: 'does not let the user become root',
      hint: 'Allow `sudo -n` without a password for /bin/sh there (see the README), or log in as root.',
    },
  },
  {
    pattern: /Could not resolve hostname|Connection refused|timed out|No route to host|Network is unreachable|Host is down/i,
    class: 'unreachable',
    error: {
      code: 'SSH_UNREACHABLE',
      fact: 'cannot be reached',
      hint: 'Look whether the host is up, its sshd runs, and the address is right.',
    },
  },
  {
    pattern:
      /kex_exchange_identification|ssh_exchange_identification|banner exchange|Connection reset|Connection closed|closed by remote host|Broken pipe|mux_client|master is dead|Session open refused/,
    class: 'dropped',
    error: {
      code: 'SSH_CONNECTION_DROPPED',
      fact: 'dropped the connection before a command began',
      hint: 'Look at MaxStartups of its sshd and at what stands in between; pipit tries again.',
    },
  },
];

/** What is said of an end of ssh that no rule knows. */
const UNREACHABLE: Rule['error'] = {
  code: 'SSH_UNREACHABLE',
  fact: 'cannot be reached',
  hint: 'Look whether the host is up, its sshd runs, and the address is right.',
};

const BROKEN: Rule['error'] = {
  code: 'SSH_SHELL_BROKEN',
  fact: 'let the user log in, but ran no command',
  hint: 'The login shell of that user must be a POSIX shell that runs what it is given, and print nothing by itself.',
};

/** Codes of hosts that were spoken with, but could not be told anything. */
const SPOKEN_WITH: ReadonlySet<string> = new Set(['SSH_SUDO_REFUSED', 'SSH_ROOT_REFUSED', 'SSH_SHELL_BROKEN']);

/** Whether an error says something of a host that does answer. */
export const isSpokenWith = (code: string): boolean => SPOKEN_WITH.has(code);

/** A failure of a connection again, without ssh's words of that time; undefined for a code that is none. */
export const describeConnectionFailure = (
  code: string,
  address: string,
): { readonly message: string; readonly hint: string } | undefined => {
  const error = [...RULES.map((rule) => rule.error), BROKEN].find((each) => each.code === code);
  return error === undefined ? undefined : { message: `${address} ${error.fact}`, hint: error.hint };
};

/** ssh's own words for the message: the last line that is no decoration, in plain characters. */
export const lastWords = (said: string): string =>
  said
    .replace(/[^\P{Cc}\n]/gu, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^[@\s]+$/.test(line))
    .slice(-2)
    .join(' ')
    .slice(0, 300);

/** What a failed connection means, and whether to try again. */
export const classifyFailure = ({ address, said, exitCode }: FailedConnection): ClassifiedFailure => {
  const rule = RULES.find(({ pattern }) => pattern.test(said));
  const { code, fact, hint } = rule?.error ?? (exitCode === 255 ? UNREACHABLE : BROKEN);
  const failureClass = rule?.class ?? (exitCode === 255 ? 'unreachable' : 'refused');
  const words = lastWords(said);
  return {
    class: failureClass,
    error: new PluginError({
      code,
      message: `${address} ${fact}${words === '' ? ` (ssh ended with ${exitCode})` : `: ${words}`}`,
      hint,
      recovery: failureClass === 'refused' ? 'stop' : 'retry',
    }),
  };
};
