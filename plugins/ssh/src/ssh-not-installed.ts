import { PluginError } from '@pipit/core';

/** A program of the OpenSSH client cannot be started on this machine. */
export const sshNotInstalled = (program: string, cause: unknown): PluginError =>
  new PluginError({
    code: 'SSH_NOT_INSTALLED',
    message: `The program ${program} cannot be started on pipit's machine`,
    hint: 'Install the OpenSSH client, on Debian: apt-get install openssh-client',
    recovery: 'stop',
    cause,
  });
