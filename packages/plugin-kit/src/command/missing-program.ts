import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { PluginError } from '@pipit/core';

/** The Debian package of a program, where it is not the program's own name. */
const DEBIAN_PACKAGES: Readonly<Record<string, string>> = {
  'apt-ftparchive': 'apt-utils',
  'apt-get': 'apt',
  bwrap: 'bubblewrap',
  'dpkg-deb': 'dpkg',
  fpm: 'ruby, then: gem install fpm',
  gpg: 'gnupg',
  gpgv: 'gpgv',
  ip: 'iproute2',
  node: 'nodejs',
  scp: 'openssh-client',
  setpriv: 'util-linux',
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
  unshare: 'util-linux',
};

const installHint = (program: string): string => {
  const name = basename(program);
  return `Install ${name}, on Debian: apt-get install ${DEBIAN_PACKAGES[name] ?? name}`;
};

/** What a failed start means. The operating system gives the same ENOENT for a missing program and a missing folder. */
export const startFailure = async (program: string, cwd: string, thrown: unknown): Promise<PluginError> => {
  const folder = await stat(cwd).catch(() => undefined);
  if (folder?.isDirectory() !== true)
    return new PluginError({
      code: 'COMMAND_FOLDER_MISSING',
      message: `${program} cannot run in ${cwd}: there is no such folder`,
      recovery: 'stop',
      cause: thrown,
    });
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  if (code === 'ENOENT')
    return new PluginError({
      code: 'COMMAND_NOT_FOUND',
      message: `There is no program ${program} on this machine`,
      hint: installHint(program),
      recovery: 'stop',
      cause: thrown,
    });
  return new PluginError({
    code: 'COMMAND_NOT_STARTED',
    message: `${program} could not be started: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
    hint: 'Look at its file mode (it must be executable), its first line (the interpreter must exist) and the free memory.',
    // Nothing ran, but permissions and formats do not mend themselves; only a full process table does.
    recovery: code === 'EAGAIN' ? 'retry' : 'stop',
    cause: thrown,
  });
};
