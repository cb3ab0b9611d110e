import { type Op, type PackageRequest, PluginError, SCRIPTS } from '@pipit/core';
import type { PackageContents } from './package-contents.js';
import { PACKAGE_FOLDERS } from './package-folders.js';
import { runConfined, runPackaging } from './run-packaging.js';
import { writeOutputs } from './write-outputs.js';

const stop = (code: { readonly code: string }, message: string, hint: string): PluginError =>
  new PluginError({ ...code, message, hint, recovery: 'stop' });

const runPackageScript = async <Options>(
  request: PackageRequest<Options>,
  op: Op<'shell' | 'source'>,
  epochSeconds: number,
): Promise<void> => {
  const { folder } = op.shell;
  const executable = await runConfined(op, ['test', '-x', `${PACKAGE_FOLDERS.source}/${SCRIPTS.package}`]);
  if (executable.exitCode !== 0)
    throw stop(
      { code: 'PACKAGE_SCRIPT_NOT_EXECUTABLE' },
      `${SCRIPTS.package} is not executable`,
      `chmod +x ${SCRIPTS.package} && git add --chmod=+x ${SCRIPTS.package}, then commit and push.`,
    );
  op.report({ message: `Running ${SCRIPTS.package}` });
  const { exitCode, stderr } = await runConfined(op, [`./${SCRIPTS.package}`], {
    offline: false,
    cwd: PACKAGE_FOLDERS.source,
    env: {
      PIPIT_PACKAGE_ROOT: `${folder}/${PACKAGE_FOLDERS.root}`,
      PIPIT_OUTPUT: `${folder}/${PACKAGE_FOLDERS.outputs}`,
      PIPIT_APP: request.app,
      PIPIT_VERSION: request.version,
      PIPIT_COMMIT: op.source.commit.sha,
      PIPIT_PREFIX: request.metadata.prefix,
      SOURCE_DATE_EPOCH: `${epochSeconds}`,
    },
  });
  if (exitCode !== 0)
    throw stop(
      { code: 'PACKAGE_SCRIPT_FAILED' },
      `${SCRIPTS.package} exited ${exitCode}`,
      stderr.trim() === '' ? "Look at the step's log." : `It said: ${stderr.trim().split('\n').slice(-3).join(' / ')}`,
    );
};

/** The commit's own files under the prefix, without what only git reads. */
const copySource = async (prefix: string, op: Op<'shell'>): Promise<void> => {
  const target = `${PACKAGE_FOLDERS.root}${prefix}`;
  await runPackaging(op, ['mkdir', '-p', '--', target]);
  await runPackaging(op, ['cp', '-a', '--', `${PACKAGE_FOLDERS.source}/.`, `${target}/`]);
  await runPackaging(op, ['find', target, '-mindepth', '1', '-maxdepth', '1', '-name', '.git*', '-exec', 'rm', '-rf', '--', '{}', '+']);
};

/**
 * Fills the package's root in the shell's folder: what an executable `script/package` leaves there, with CI's outputs already in it; without
 * that script CI's outputs alone; without outputs the commit's files under the prefix. No folder named `.git` is ever in it.
 * Call it before anything else is written there: from here on the repository's code may have left links.
 *
 * @throws PluginError `PACKAGE_OUTPUT_PATH`, `PACKAGE_SCRIPT_NOT_EXECUTABLE`, `PACKAGE_SCRIPT_FAILED`, `PACKAGE_BUILD_FAILED` (stop)
 */
export const fillPackageRoot = async <Options>(
  request: PackageRequest<Options>,
  op: Op<'shell' | 'source' | 'files'>,
  { hasPackageScript, epochSeconds }: Pick<PackageContents, 'hasPackageScript' | 'epochSeconds'>,
): Promise<void> => {
  // All that pipit itself writes, it writes before any of the repository's code runs here.
  await op.source.checkOut(op.shell, PACKAGE_FOLDERS.source);
  await writeOutputs(op, request.outputs);
  await runPackaging(op, ['mkdir', '-p', '--', PACKAGE_FOLDERS.root, PACKAGE_FOLDERS.outputs]);
  if (hasPackageScript || request.outputs.length > 0)
    await runPackaging(op, ['cp', '-a', '--', `${PACKAGE_FOLDERS.outputs}/.`, `${PACKAGE_FOLDERS.root}/`]);
  else await copySource(request.metadata.prefix, op);
  if (hasPackageScript) await runPackageScript(request, op, epochSeconds);
  await runPackaging(op, ['find', PACKAGE_FOLDERS.root, '-name', '.git', '-prune', '-exec', 'rm', '-rf', '--', '{}', '+']);
};

/**
 * Every config file of the metadata lies in the root as a plain file.
 *
 * @throws PluginError `PACKAGE_CONFIG_FILE_MISSING` (stop)
 */
export const checkConfigFiles = async (configFiles: readonly string[], op: Op<'shell'>): Promise<void> => {
  for (const path of configFiles) {
    const isSafe = path.startsWith('/') && !/\p{Cc}/u.test(path) && !path.split('/').includes('..');
    const found = isSafe ? await runConfined(op, ['test', '-f', `${PACKAGE_FOLDERS.root}${path}`]) : undefined;
    if (found?.exitCode !== 0)
      throw stop(
        { code: 'PACKAGE_CONFIG_FILE_MISSING' },
        `${JSON.stringify(path)} is named as a config file, but the package has no such file`,
        'Correct the path in pipit.yaml (it is the absolute path on the host), or add the file.',
      );
  }
};
