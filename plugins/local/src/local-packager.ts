import {
  type Artifact,
  type HealthFinding,
  type Op,
  type PackageRequest,
  type Packager,
  PluginError,
  parsePackageName,
  SCRIPTS,
  unitFilePath,
} from '@pipit/core';
import { findProgram } from './find-program.js';
import { type ControlFields, controlDifference, controlFields, parseControl, renderControl } from './local-packager-control.js';
import { mustRun, normaliseRoot, PACKAGE_FOLDERS, placeFile, runConfined, writeOutputs } from './local-packager-root.js';

export interface LocalPackagerOptions {
  /** `Name <mail>`, for the field Maintainer. */
  readonly maintainer: string;
}

/** xz is read by every apt; one thread and a fixed level give the same bytes on every machine. */
const COMPRESSION = ['-Zxz', '-z6', '--threads-max=1'] as const;

const stop = (code: { readonly code: string }, message: string, hint: string): PluginError =>
  new PluginError({ ...code, message, hint, recovery: 'stop' });

const readPostInstall = async (op: Op<'source'>): Promise<string> => {
  const text = await op.source.readText(SCRIPTS.postInstall);
  if (text === undefined)
    throw stop(
      { code: 'LOCAL_POST_INST_MISSING' },
      `The commit has no ${SCRIPTS.postInstall}`,
      `Add it (it may just say: exit 0), make it executable with chmod +x ${SCRIPTS.postInstall}, and push.`,
    );
  if (!text.startsWith('#!'))
    throw stop(
      { code: 'LOCAL_POST_INST_NO_INTERPRETER' },
      `${SCRIPTS.postInstall} does not begin with #!`,
      'Begin it with the line #!/bin/sh: dpkg runs it as a program.',
    );
  return text;
};

/** What an architecture of the request means here: `all`, or this machine's. */
const checkArchitectures = async <Options>(request: PackageRequest<Options>, op: Op<'shell'>): Promise<readonly string[]> => {
  const wanted = [...new Set(request.metadata.architectures.length > 0 ? request.metadata.architectures : ['all'])];
  if (wanted.every((architecture) => architecture === 'all')) return wanted;
  const own = (await mustRun(op, ['dpkg', '--print-architecture'])).trim();
  const other = wanted.find((architecture) => architecture !== 'all' && architecture !== own);
  if (other === undefined) return wanted;
  throw stop(
    { code: 'LOCAL_ARCHITECTURE_UNSUPPORTED' },
    `A package for ${other} cannot be made on this ${own} machine`,
    `Say "architectures: [${own}]" or [all] in pipit.yaml, or choose with \`on:\` a build host of that architecture.`,
  );
};

const runPackageScript = async <Options>(
  request: PackageRequest<Options>,
  op: Op<'shell' | 'source'>,
  epochSeconds: number,
): Promise<void> => {
  const { folder } = op.shell;
  const executable = await runConfined(op, ['test', '-x', `${PACKAGE_FOLDERS.source}/${SCRIPTS.package}`]);
  if (executable.exitCode !== 0)
    throw stop(
      { code: 'LOCAL_PACKAGE_SCRIPT_NOT_EXECUTABLE' },
      `${SCRIPTS.package} is not executable`,
      `chmod +x ${SCRIPTS.package} && git add --chmod=+x ${SCRIPTS.package}, then commit and push.`,
    );
  op.report({ message: `Running ${SCRIPTS.package}` });
  const { exitCode, stderr } = await runConfined(op, [`./${SCRIPTS.package}`], {
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
    onOutput: (text) => op.report({ message: text.trimEnd() }),
  });
  if (exitCode !== 0)
    throw stop(
      { code: 'LOCAL_PACKAGE_SCRIPT_FAILED' },
      `${SCRIPTS.package} exited ${exitCode}`,
      stderr.trim() === '' ? "Look at the step's log." : `It said: ${stderr.trim().split('\n').slice(-3).join(' / ')}`,
    );
};

/** The commit's own files under the prefix, without what only git reads. */
const copySource = async (prefix: string, op: Op<'shell'>): Promise<void> => {
  const target = `${PACKAGE_FOLDERS.root}${prefix}`;
  await mustRun(op, ['mkdir', '-p', '--', target]);
  await mustRun(op, ['cp', '-a', '--', `${PACKAGE_FOLDERS.source}/.`, `${target}/`]);
  await mustRun(op, ['find', target, '-mindepth', '1', '-maxdepth', '1', '-name', '.git*', '-exec', 'rm', '-rf', '--', '{}', '+']);
};

const checkConfigFiles = async (configFiles: readonly string[], op: Op<'shell'>): Promise<void> => {
  for (const path of configFiles) {
    const isSafe = path.startsWith('/') && !/\p{Cc}/u.test(path) && !path.split('/').includes('..');
    const found = isSafe ? await runConfined(op, ['test', '-f', `${PACKAGE_FOLDERS.root}${path}`]) : undefined;
    if (found?.exitCode !== 0)
      throw stop(
        { code: 'LOCAL_CONFIG_FILE_MISSING' },
        `${JSON.stringify(path)} is named as a config file, but the package has no such file`,
        'Correct the path in pipit.yaml (it is the absolute path on the host), or add the file.',
      );
  }
};

const buildDeb = async (fields: ControlFields, epochSeconds: number, op: Op<'shell'>): Promise<void> => {
  await placeFile(op, `${PACKAGE_FOLDERS.control}/control`, renderControl(fields));
  await normaliseRoot(op, epochSeconds);
  await mustRun(op, ['dpkg-deb', '--root-owner-group', ...COMPRESSION, '--build', PACKAGE_FOLDERS.root, PACKAGE_FOLDERS.deb], {
    env: { SOURCE_DATE_EPOCH: `${epochSeconds}` },
  });
  const found = parseControl(await mustRun(op, ['dpkg-deb', '--field', PACKAGE_FOLDERS.deb]));
  const difference = controlDifference(fields, found);
  if (difference !== undefined)
    throw stop(
      { code: 'LOCAL_PACKAGE_MISMATCH' },
      `The package that was made says something else than it should: ${difference}`,
      'Look whether another process writes into the build folder; then run the step again.',
    );
};

/**
 * Makes Debian packages with dpkg-deb. The package holds what `script/package` leaves in `$PIPIT_PACKAGE_ROOT`; without that script CI's outputs;
 * without outputs the commit's files under the prefix. The same commit gives the same bytes.
 *
 * Errors (all stop): `LOCAL_POST_INST_MISSING`, `LOCAL_POST_INST_NO_INTERPRETER`, `LOCAL_UNIT_FILE_MISSING`, `LOCAL_CONFIG_FILE_MISSING`,
 * `LOCAL_ARCHITECTURE_UNSUPPORTED`, `LOCAL_PACKAGE_FIELD_INVALID`, `LOCAL_PACKAGE_OUTPUT_PATH`, `LOCAL_PACKAGE_SCRIPT_NOT_EXECUTABLE`,
 * `LOCAL_PACKAGE_SCRIPT_FAILED`, `LOCAL_PACKAGE_BUILD_FAILED`, `LOCAL_PACKAGE_MISMATCH`.
 */
export const createLocalPackager = <Options>({
  maintainer,
}: LocalPackagerOptions): Packager<Options> & { checkHealth(): readonly HealthFinding[] } => ({
  formats: ['deb'],

  async package(request, op): Promise<readonly Artifact[]> {
    op.signal.throwIfAborted();
    const { metadata } = request;
    const name = parsePackageName(request.app);
    const epochSeconds = Math.floor(Date.parse(op.source.commit.committedAt) / 1000);
    const fieldsOf = (architecture: string): ControlFields =>
      controlFields({ ...request, architecture, maintainer, commit: op.source.commit.sha });
    // What can be refused without work is refused first.
    fieldsOf('all');
    const postInstall = await readPostInstall(op);
    const units = new Map<string, string>();
    for (const service of metadata.services) {
      const path = unitFilePath(service);
      const text = await op.source.readText(path);
      if (text === undefined)
        throw stop(
          { code: 'LOCAL_UNIT_FILE_MISSING' },
          `The service ${service} has no unit file ${path}`,
          `Add ${path}, or take the service out of pipit.yaml.`,
        );
      units.set(`${PACKAGE_FOLDERS.root}/lib/systemd/system/${path.slice(path.lastIndexOf('/') + 1)}`, text);
    }
    const hasPackageScript = (await op.source.readText(SCRIPTS.package)) !== undefined;

    // All that pipit itself writes, it writes before any of the repository's code runs here.
    await op.source.checkOut(op.shell, PACKAGE_FOLDERS.source);
    await writeOutputs(op, request.outputs);
    const architectures = await checkArchitectures(request, op);
    await mustRun(op, ['mkdir', '-p', '--', PACKAGE_FOLDERS.root, PACKAGE_FOLDERS.outputs]);
    if (hasPackageScript || request.outputs.length > 0)
      await mustRun(op, ['cp', '-a', '--', `${PACKAGE_FOLDERS.outputs}/.`, `${PACKAGE_FOLDERS.root}/`]);
    else await copySource(metadata.prefix, op);
    if (hasPackageScript) await runPackageScript(request, op, epochSeconds);

    await mustRun(op, ['rm', '-rf', '--', PACKAGE_FOLDERS.control]);
    for (const [path, text] of units) await placeFile(op, path, text);
    await checkConfigFiles(metadata.configFiles, op);
    await placeFile(op, `${PACKAGE_FOLDERS.control}/postinst`, postInstall);
    await mustRun(op, ['chmod', '0755', '--', `${PACKAGE_FOLDERS.control}/postinst`]);
    if (metadata.configFiles.length > 0)
      await placeFile(op, `${PACKAGE_FOLDERS.control}/conffiles`, metadata.configFiles.map((path) => `${path}\n`).join(''));

    const artifacts: Artifact[] = [];
    for (const architecture of architectures) {
      op.report({ message: `Making ${name} ${request.version} (${architecture})` });
      await buildDeb(fieldsOf(architecture), epochSeconds, op);
      const content = await op.files.put(op.shell.read(PACKAGE_FOLDERS.deb));
      artifacts.push({ format: 'deb', name, version: request.version, architecture, digest: content.sha256, content });
    }
    return artifacts;
  },

  checkHealth: () => [findProgram('dpkg-deb', 'dpkg')],
});
