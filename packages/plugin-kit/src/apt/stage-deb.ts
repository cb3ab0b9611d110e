import { createHash } from 'node:crypto';
import { type Artifact, type ArtifactId, type Op, PluginError } from '@pipit/core';

const named = ({ name, version, architecture }: ArtifactId): string => `${name} ${version} (${architecture})`;

/** The error of a version that is there with other bytes: stops the run, changes nothing. */
export const digestConflict = (artifact: ArtifactId, found: string): PluginError =>
  new PluginError({
    code: 'REPOSITORY_DIGEST_CONFLICT',
    message: `${named(artifact)} is in the repository with other bytes: ${found}, and not ${artifact.digest}`,
    hint: 'A version is published once. Publish the new bytes under a new version (a rebuild appends +r2).',
    recovery: 'stop',
  });

/** The error of a package whose file is not what the packager said. */
export const artifactMismatch = (artifact: ArtifactId, found: string): PluginError =>
  new PluginError({
    code: 'REPOSITORY_ARTIFACT_MISMATCH',
    message: `The file of ${named(artifact)} says of itself: ${found}`,
    hint: 'The packager must write the name, version and architecture that it returns into the package.',
    recovery: 'stop',
  });

/** The error of an offer of what is not published. */
export const artifactMissing = (artifact: ArtifactId, suite: string): PluginError =>
  new PluginError({
    code: 'REPOSITORY_ARTIFACT_MISSING',
    message: `${named(artifact)} is not in the repository, so it cannot be offered to ${suite}`,
    hint: 'Publish it first; if it was removed, make a new release of its commit.',
    recovery: 'stop',
  });

/** The error of a removal of what a ring is offered. */
export const artifactOffered = (artifact: ArtifactId): PluginError =>
  new PluginError({
    code: 'REPOSITORY_ARTIFACT_OFFERED',
    message: `${named(artifact)} is offered to a ring, so it cannot be removed`,
    hint: 'Roll the ring to another version first.',
    recovery: 'stop',
  });

/** The error of an index that does not say, after the tool reported success, what it was told to say. */
export const notVerified = (suite: string, expected: readonly ArtifactId[], found: readonly ArtifactId[]): PluginError => {
  const list = (ids: readonly ArtifactId[]) => (ids.length === 0 ? 'nothing' : ids.map((id) => `${named(id)} ${id.digest}`).join(', '));
  return new PluginError({
    code: 'REPOSITORY_NOT_VERIFIED',
    message: `The published suite ${suite} lists ${list(found)}, and not ${list(expected)}`,
    hint: "The repository's tool said that it did it. Look at its folder and its disk, then retry.",
    recovery: 'reconcile',
  });
};

/** The name that a Debian package's file has by convention. */
export const debFileName = ({ name, version, architecture }: ArtifactId): string => `${name}_${version}_${architecture}.deb`;

/**
 * Writes a package's bytes into the shell's folder, as `<name>_<version>_<architecture>.deb`, and proves that they are what the artifact says.
 * `dpkg-deb` runs there.
 *
 * @returns the absolute path
 * @throws PluginError `REPOSITORY_CONTENT_ELSEWHERE`, `REPOSITORY_ARTIFACT_MISMATCH` (stop)
 */
export const stageDeb = async (artifact: Artifact, { files, shell, signal }: Op<'files' | 'shell'>): Promise<string> => {
  const { content } = artifact;
  if (!('sha256' in content))
    throw new PluginError({
      code: 'REPOSITORY_CONTENT_ELSEWHERE',
      message: `${artifact.name} ${artifact.version} is only a reference (${content.reference}), not a file`,
      hint: 'An APT repository takes packages whose bytes are in the file store: use another packager or repository.',
      recovery: 'stop',
    });
  const path = `${shell.folder}/${debFileName(artifact)}`;
  const hash = createHash('sha256');
  await shell.write(
    path,
    (async function* () {
      for await (const chunk of files.get(content)) {
        signal.throwIfAborted();
        hash.update(chunk);
        yield chunk;
      }
    })(),
    // Freight and aptly take the mode on to what they publish.
    { mode: 0o644 },
  );
  const found = `sha256:${hash.digest('hex')}`;
  if (found !== artifact.digest) throw artifactMismatch(artifact, `its bytes are ${found}, and not ${artifact.digest}`);
  const fields = await shell.run(['dpkg-deb', '--field', path, 'Package', 'Version', 'Architecture']);
  const expected = `Package: ${artifact.name}\nVersion: ${artifact.version}\nArchitecture: ${artifact.architecture}`;
  const said = fields.exitCode === 0 ? fields.stdout.trim() : `not a Debian package (${fields.stderr.trim().split('\n').at(-1) ?? ''})`;
  if (said !== expected) throw artifactMismatch(artifact, said.replaceAll('\n', ', '));
  return path;
};
