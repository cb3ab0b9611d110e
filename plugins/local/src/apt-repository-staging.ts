import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Artifact, type ArtifactId, type Digest, type FileStore, PluginError } from '@pipit/core';
import { minimalEnvironment, removeFolder, runCommand } from '@pipit/plugin-kit';
import { syncFolder } from './write-whole.js';

/** To read a package's fields takes milliseconds; one that is made to take long must not hold up the other apps. */
const READ_FIELDS_MS = 60_000;

export const digestOf = async (path: string): Promise<Digest> => {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
};

export const conflict = (artifact: ArtifactId, found: Digest, recovery: string): PluginError =>
  new PluginError({
    code: 'REPOSITORY_DIGEST_CONFLICT',
    message: `${artifact.name} ${artifact.version} (${artifact.architecture}) is in the repository with other bytes: ${found}, and not ${artifact.digest}`,
    hint: recovery,
    recovery: 'stop',
  });

const mismatch = (artifact: ArtifactId, found: string): PluginError =>
  new PluginError({
    code: 'REPOSITORY_ARTIFACT_MISMATCH',
    message: `The file of ${artifact.name} ${artifact.version} (${artifact.architecture}) says of itself: ${found}`,
    hint: 'The packager must write the name, version and architecture that it returns into the package.',
    recovery: 'stop',
  });

/** Writes the bytes to the disk and measures them. */
const fetchBytes = async (artifact: Artifact, path: string, files: FileStore, signal: AbortSignal): Promise<void> => {
  if (!('sha256' in artifact.content))
    throw new PluginError({
      code: 'REPOSITORY_CONTENT_ELSEWHERE',
      message: `${artifact.name} ${artifact.version} is only a reference (${artifact.content.reference}), not a file`,
      hint: 'An APT repository takes packages whose bytes are in the file store: use another packager or repository.',
      recovery: 'stop',
    });
  const hash = createHash('sha256');
  const handle = await open(path, 'wx', 0o600);
  try {
    for await (const chunk of files.get(artifact.content)) {
      signal.throwIfAborted();
      hash.update(chunk);
      for (let written = 0; written < chunk.byteLength; ) written += (await handle.write(chunk, written)).bytesWritten;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  const found: Digest = `sha256:${hash.digest('hex')}`;
  if (found !== artifact.digest) throw mismatch(artifact, `its bytes are ${found}, and not ${artifact.digest}`);
};

/** The package says of itself what the artifact says. */
const checkFields = async (artifact: Artifact, path: string, signal: AbortSignal): Promise<void> => {
  const fields = await runCommand(['dpkg-deb', '--field', path, 'Package', 'Version', 'Architecture'], {
    cwd: '/',
    env: minimalEnvironment('/'),
    signal,
    timeoutMs: READ_FIELDS_MS,
  });
  const expected = `Package: ${artifact.name}\nVersion: ${artifact.version}\nArchitecture: ${artifact.architecture}`;
  const said = fields.exitCode === 0 ? fields.stdout.trim() : `not a Debian package (${fields.stderr.trim().split('\n').at(-1) ?? ''})`;
  if (said !== expected) throw mismatch(artifact, said.replaceAll('\n', ', '));
};

export interface Staging {
  /**
   * Fetches a package and proves that it is what its artifact says.
   *
   * @returns what moves it to its place, in one step, for everybody to read
   */
  stage(artifact: Artifact, files: FileStore, signal: AbortSignal): Promise<(target: string) => Promise<void>>;
  /** Removes what was staged and not moved. */
  clear(): Promise<void>;
}

/** Where packages wait until they are proved: a folder of pipit's alone, which no web server serves. Its user holds the repository's lock. */
export const createStaging = (folder: string): Staging => ({
  async stage(artifact, files, signal) {
    const { name, version, architecture } = artifact;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, `${name}_${version}_${architecture}.deb`);
    await fetchBytes(artifact, path, files, signal);
    await checkFields(artifact, path, signal);
    return async (target) => {
      await chmod(path, 0o644);
      await mkdir(dirname(target), { recursive: true, mode: 0o755 });
      await rename(path, target);
      await syncFolder(dirname(target));
    };
  },
  clear: () => removeFolder(folder),
});
