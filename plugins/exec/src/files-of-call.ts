import {
  type Artifact,
  type BuildOutput,
  isPluginError,
  type Op,
  type PackageRequest,
  PluginError,
  parsePackageName,
  type StoredFile,
} from '@pipit/core';
import { PACKAGE_FOLDERS, writeOutputs } from '@pipit/plugin-kit';
import type { Collected, Packages } from './answers.js';
import type { Prepared } from './protocol.js';

/** Where what a call needs lies, within the program's folder. */
export const CALL_PATHS = { source: 'source', outputs: PACKAGE_FOLDERS.outputs, artifacts: 'artifacts' } as const;

type FileOp = Op<'shell' | 'source' | 'files'>;

interface Outputs {
  readonly outputs: readonly BuildOutput[];
}
interface Artifacts {
  readonly artifacts: readonly Artifact[];
}

/** Puts source and files into the program's folder, and gives the absolute path of each, for the request's `paths`. */
export const prepareFiles = async (
  prepares: readonly Prepared[],
  request: unknown,
  op: FileOp,
): Promise<Readonly<Record<string, string>>> => {
  const paths: Record<string, string> = {};
  for (const what of prepares) {
    paths[what] = `${op.shell.folder}/${CALL_PATHS[what]}`;
    if (what === 'source') {
      await op.shell.run(['rm', '-rf', '--', CALL_PATHS.source]);
      await op.source.checkOut(op.shell, CALL_PATHS.source);
    } else if (what === 'outputs') {
      await op.shell.run(['mkdir', '-p', '--', CALL_PATHS.outputs]);
      const { outputs } = request as Outputs; // core's own type of a packager's request
      await writeOutputs(op, outputs);
    } else {
      await op.shell.run(['mkdir', '-p', '--', CALL_PATHS.artifacts]);
      const { artifacts } = request as Artifacts; // core's own type of a publish's request
      for (const { content, digest } of artifacts)
        if ('sha256' in content) await op.shell.write(`${CALL_PATHS.artifacts}/${digest.slice('sha256:'.length)}`, op.files.get(content));
    }
  }
  return paths;
};

/** pipit measures a file that the program named; nobody's claim is believed. */
const store = async (file: string, op: Op<'shell' | 'files'>): Promise<StoredFile> => {
  try {
    return await op.files.put(op.shell.read(file));
  } catch (cause) {
    // What is wrong with a file that is there is told as it is.
    if (isPluginError(cause) && cause.code !== 'SHELL_FILE_NOT_FOUND') throw cause;
    throw new PluginError({
      code: 'EXEC_FILE_MISSING',
      message: `The program named the file ${JSON.stringify(file)} in its answer, which cannot be read in its folder`,
      hint: 'Paths are relative to `paths.folder` of the request.',
      recovery: 'stop',
      cause,
    });
  }
};

export const storeCollected = async (collected: Collected, op: Op<'shell' | 'files'>): Promise<readonly BuildOutput[]> => {
  const outputs: BuildOutput[] = [];
  for (const { path, file } of collected) outputs.push({ path, file: await store(file, op) });
  return outputs;
};

export const storePackages = async <Options>(
  packages: Packages,
  { app, version }: PackageRequest<Options>,
  op: Op<'shell' | 'files'>,
): Promise<readonly Artifact[]> => {
  const artifacts: Artifact[] = [];
  const name = parsePackageName(app);
  for (const made of packages) {
    if ('file' in made) {
      const content = await store(made.file, op);
      artifacts.push({ format: made.format, name, version, architecture: made.architecture, digest: content.sha256, content });
    } else {
      const { format, architecture, reference } = made;
      artifacts.push({ format, name, version, architecture, digest: made.digest as Artifact['digest'], content: { reference } }); // the schema has parsed it
    }
  }
  return artifacts;
};
