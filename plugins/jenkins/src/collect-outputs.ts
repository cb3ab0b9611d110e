import { createHash } from 'node:crypto';
import { type BuildOutput, type FileStore, PluginError } from '@pipit/core';
import { OUTPUTS_TREE, outputs as outputsSchema } from './jenkins-answers.js';
import type { JenkinsClient } from './jenkins-client.js';
import { type JobPath, jobAddress, shownJob } from './job-path.js';

/** More files than a package of one app has; a build that archives its whole cache is told so. */
const MAX_OUTPUTS = 20_000;

const refused = (path: string, what: string): PluginError =>
  new PluginError({
    code: 'JENKINS_OUTPUT_REFUSED',
    message: `The artifact ${JSON.stringify(path)} ${what}`,
    hint: 'Archive plain files under the folder that the ci slot names as `outputs`.',
    recovery: 'stop',
  });

/** Passes bytes on and learns their md5, the digest that Jenkins keeps. */
const measured = async function* (content: AsyncIterable<Uint8Array>, hash: ReturnType<typeof createHash>): AsyncIterable<Uint8Array> {
  for await (const chunk of content) {
    hash.update(chunk);
    yield chunk;
  }
};

export interface CollectOptions {
  readonly client: JenkinsClient;
  readonly job: JobPath;
  readonly number: number;
  /** The folder among the artifacts that is the package's root. */
  readonly folder: string;
  readonly files: FileStore;
  readonly signal: AbortSignal;
}

/**
 * The build's artifacts under `folder`, each compared with the fingerprint that Jenkins took of it, where it took one.
 *
 * Errors: `JENKINS_OUTPUT_CHANGED`, `JENKINS_OUTPUT_REFUSED`, `JENKINS_BUILD_GONE` (stop).
 */
export const collectOutputs = async ({ client, job, number, folder, files, signal }: CollectOptions): Promise<readonly BuildOutput[]> => {
  const address = `${jobAddress(job)}${number}/`;
  const found = await client.read(address, OUTPUTS_TREE, outputsSchema, signal);
  if (found === undefined)
    throw new PluginError({
      code: 'JENKINS_BUILD_GONE',
      message: `Jenkins no longer has build ${number} of ${shownJob(job)}, so its artifacts cannot be collected`,
      hint: 'Let the job keep more builds, then push again.',
      recovery: 'stop',
    });
  const fingerprints = (found.fingerprint ?? []).flatMap((each) => each ?? []);
  // A fingerprint bears the name under which its bytes were first seen, so the digest counts before the name.
  const known = new Set(fingerprints.map(({ hash }) => hash));
  const prefix = `${folder}/`;
  const wanted = found.artifacts
    .filter(({ relativePath }) => relativePath.startsWith(prefix))
    .sort((one, other) => (one.relativePath < other.relativePath ? -1 : 1));
  if (wanted.length > MAX_OUTPUTS) throw refused(prefix, `is one of more than ${MAX_OUTPUTS}`);
  const collected: BuildOutput[] = [];
  for (const { relativePath, fileName } of wanted) {
    signal.throwIfAborted();
    const path = relativePath.slice(prefix.length);
    if (/\p{Cc}/u.test(path) || path.split('/').some((part) => part === '' || part === '.' || part === '..'))
      throw refused(relativePath, 'has a path that leads out of the package');
    const hash = createHash('md5');
    const content = await client.stream(`${address}artifact/${relativePath.split('/').map(encodeURIComponent).join('/')}`, signal);
    const file = await files.put(measured(content, hash));
    if (!known.has(hash.digest('hex')) && fingerprints.some((each) => each.fileName === fileName))
      throw new PluginError({
        code: 'JENKINS_OUTPUT_CHANGED',
        message: `The artifact ${relativePath} of build ${number} of ${shownJob(job)} is not what Jenkins took its fingerprint of`,
        hint: 'Something changed the file after the build: look who may write to the artifacts of Jenkins, then build again.',
        recovery: 'stop',
      });
    collected.push({ path, file });
  }
  return collected;
};
