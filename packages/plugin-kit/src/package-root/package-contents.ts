import { type Op, type PackageRequest, PluginError, SCRIPTS, unitFilePath } from '@pipit/core';

/** What of the commit goes into a package beside its root. */
export interface PackageContents {
  /** The text of `script/post-inst`; it begins with `#!`. */
  readonly postInstall: string;
  /** The text of each systemd unit, by its file name. */
  readonly units: ReadonlyMap<string, string>;
  readonly hasPackageScript: boolean;
  /** The commit's time in seconds: the time of everything in the package, so that the same commit gives the same bytes. */
  readonly epochSeconds: number;
}

const stop = (code: { readonly code: string }, message: string, hint: string): PluginError =>
  new PluginError({ ...code, message, hint, recovery: 'stop' });

const readPostInstall = async (op: Op<'source'>): Promise<string> => {
  const text = await op.source.readText(SCRIPTS.postInstall);
  if (text === undefined)
    throw stop(
      { code: 'PACKAGE_POST_INST_MISSING' },
      `The commit has no ${SCRIPTS.postInstall}`,
      `Add it (it may just say: exit 0), make it executable with chmod +x ${SCRIPTS.postInstall}, and push.`,
    );
  if (!text.startsWith('#!'))
    throw stop(
      { code: 'PACKAGE_POST_INST_NO_INTERPRETER' },
      `${SCRIPTS.postInstall} does not begin with #!`,
      'Begin it with the line #!/bin/sh: the package manager runs it as a program.',
    );
  return text;
};

/**
 * Reads what a package needs of the commit, and refuses what can be refused before any work is done.
 *
 * @throws PluginError `PACKAGE_POST_INST_MISSING`, `PACKAGE_POST_INST_NO_INTERPRETER`, `PACKAGE_UNIT_FILE_MISSING` (stop)
 */
export const readPackageContents = async <Options>(
  { metadata }: Pick<PackageRequest<Options>, 'metadata'>,
  op: Op<'source'>,
): Promise<PackageContents> => {
  const postInstall = await readPostInstall(op);
  const units = new Map<string, string>();
  for (const service of metadata.services) {
    const path = unitFilePath(service);
    const text = await op.source.readText(path);
    if (text === undefined)
      throw stop(
        { code: 'PACKAGE_UNIT_FILE_MISSING' },
        `The service ${service} has no unit file ${path}`,
        `Add ${path}, or take the service out of pipit.yaml.`,
      );
    units.set(path.slice(path.lastIndexOf('/') + 1), text);
  }
  return {
    postInstall,
    units,
    hasPackageScript: (await op.source.readText(SCRIPTS.package)) !== undefined,
    epochSeconds: Math.floor(Date.parse(op.source.commit.committedAt) / 1000),
  };
};
