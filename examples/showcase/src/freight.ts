import { access, constants, realpath } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { execa } from 'execa';
import type { LabHost } from 'pipit-lab';

/** The folder in which Freight is installed (`<prefix>/bin/freight`), found by PATH; undefined when it is not there. */
export const findFreight = async (path = process.env.PATH ?? ''): Promise<string | undefined> => {
  for (const folder of path.split(delimiter).filter(Boolean)) {
    const program = join(folder, 'freight');
    if (
      await access(program, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return dirname(dirname(await realpath(program)));
  }
  return undefined;
};

/** Gives a host the Freight of this machine. It is shell scripts: what they call has the host's layer `repository`. */
export const installFreight = async (host: LabHost, prefix: string): Promise<void> => {
  const archive = await execa('bash', ['-c', 'cd "$1" && tar --create --gzip bin/freight* lib/freight | base64', 'bash', prefix]);
  const { exitCode, stderr } = await host.exec(['sh', '-c', 'base64 --decode | tar --extract --gzip --directory /usr/local'], {
    input: archive.stdout,
  });
  if (exitCode !== 0) throw new Error(`Freight could not be installed on ${host.name}: ${stderr}`);
};
