import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { PluginError } from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';
import type { SigningKey } from './apt-repository-key.js';
import { switchLink, syncFolder, writeWhole } from './write-whole.js';

/** Index files of earlier views that a new one keeps, so that a host which read the old Release still finds what it names. */
const KEPT_INDEX_FILES = 20;

export interface ViewRequest {
  readonly repositoryFolder: string;
  readonly suite: string;
  /** Paths of package files below the repository's folder, with their architecture. */
  readonly packages: readonly { readonly path: string; readonly architecture: string }[];
  /** Of the hosts: each gets an index, also an empty one. */
  readonly architectures: readonly string[];
  readonly key: SigningKey;
  readonly signal: AbortSignal;
}

const ftparchive = async (args: readonly string[], cwd: string, signal: AbortSignal): Promise<string> => {
  const result = await runCommand(['apt-ftparchive', '-q', ...args], { cwd, env: minimalEnvironment(cwd), signal });
  if (result.exitCode === 0) return result.stdout;
  throw new PluginError({
    code: 'REPOSITORY_INDEX_FAILED',
    message: `apt-ftparchive failed (exit ${result.exitCode}): ${result.stderr.trim().split('\n').at(-1) ?? ''}`,
    hint: 'Look at the disk and at the package named here; then retry. The suite that hosts read is as it was.',
    recovery: 'retry',
  });
};

/** One call for a whole pool, and one for each package of a ring's view: apt-ftparchive takes folders. */
const stanzasOf = async (request: ViewRequest): Promise<ReadonlyMap<string, string>> => {
  const { repositoryFolder, signal } = request;
  const stanzas = new Map<string, string>();
  const folders =
    request.packages.length > 8 ? ['pool'] : [...new Set(request.packages.map(({ path }) => path.slice(0, path.lastIndexOf('/'))))];
  for (const folder of folders) {
    const text = await ftparchive(['packages', folder], repositoryFolder, signal);
    for (const stanza of text.split(/\n\n+/)) {
      const path = /^Filename: (.+)$/m.exec(stanza)?.[1]?.trim();
      if (path !== undefined) stanzas.set(path, `${stanza.trimEnd()}\n`);
    }
  }
  return stanzas;
};

/** Exactly 0755 and 0644, whatever pipit's umask: the hosts' package manager runs as another user, and nobody else may write. */
export const makeReadable = async (path: string, signal: AbortSignal): Promise<void> => {
  await runCommand(['chmod', '-R', 'u=rwX,go=rX', '--', path], { cwd: '/', env: minimalEnvironment('/'), signal });
};

const keepOlderIndexFiles = async (from: string, to: string): Promise<void> => {
  if (!existsSync(from)) return;
  const files = await Promise.all((await readdir(from)).map(async (name) => ({ name, at: (await stat(join(from, name))).mtimeMs })));
  files.sort((one, other) => other.at - one.at);
  for (const { name } of files.slice(0, KEPT_INDEX_FILES)) await cp(join(from, name), join(to, name), { preserveTimestamps: true });
};

/**
 * Builds a suite in a folder of its own, signs it and switches `dists/<suite>` to it in one step. A host that is in the middle of
 * `apt-get update` finds the index files of the view that it began with, by their hash, in the new one too.
 */
export const publishView = async (request: ViewRequest): Promise<void> => {
  const { repositoryFolder, suite } = request;
  const views = join(repositoryFolder, 'views', suite);
  const link = join(repositoryFolder, 'dists', suite);
  const current = existsSync(link) ? basename(await readlink(link)) : undefined;
  await mkdir(views, { recursive: true });
  await chmod(views, 0o755);
  await mkdir(join(repositoryFolder, 'dists'), { recursive: true });
  // What an interrupted call left, and views that nobody can be reading any more: the current one and the one before it stay.
  const numbers = (await readdir(views)).map(Number).sort((one, other) => one - other);
  const currentNumber = current === undefined ? 0 : Number(current);
  const before = numbers.filter((number) => number < currentNumber).at(-1);
  for (const number of numbers)
    if (number !== currentNumber && number !== before) await rm(join(views, String(number)), { recursive: true, force: true });

  const view = join(views, String(currentNumber + 1));
  try {
    await buildView(request, view, current === undefined ? undefined : join(views, current));
  } catch (thrown) {
    await rm(view, { recursive: true, force: true });
    throw thrown;
  }
  await syncFolder(views);
  await switchLink(link, join('..', 'views', suite, String(currentNumber + 1)));
};

/** @param before the folder of the view that hosts read now */
const buildView = async (request: ViewRequest, view: string, before: string | undefined): Promise<void> => {
  const { repositoryFolder, suite, key, signal } = request;
  await mkdir(join(view, 'main'), { recursive: true });
  const stanzas = await stanzasOf(request);
  for (const architecture of request.architectures) {
    const folder = join(view, 'main', `binary-${architecture}`);
    const byHash = join(folder, 'by-hash', 'SHA256');
    await mkdir(byHash, { recursive: true });
    const text = request.packages
      .filter((listed) => listed.architecture === architecture || listed.architecture === 'all')
      .map(({ path }) => stanzas.get(path) ?? '')
      .join('\n');
    const compressed = gzipSync(text, { level: 9 });
    await writeFile(join(folder, 'Packages'), text);
    await writeWhole(join(folder, 'Packages.gz'), compressed);
    if (before !== undefined) await keepOlderIndexFiles(join(before, 'main', `binary-${architecture}`, 'by-hash', 'SHA256'), byHash);
    await writeWhole(join(byHash, createHash('sha256').update(compressed).digest('hex')), compressed);
  }
  const option = (name: string, value: string): readonly string[] => ['-o', `APT::FTPArchive::Release::${name}=${value}`];
  const release = await ftparchive(
    [
      ...option('Origin', 'pipit'),
      ...option('Label', 'pipit'),
      ...option('Suite', suite),
      ...option('Codename', suite),
      ...option('Architectures', request.architectures.join(' ')),
      ...option('Components', 'main'),
      ...option('Acquire-By-Hash', 'yes'),
      ...option('Patterns::', 'Packages'),
      ...option('Patterns::', 'Packages.gz'),
      // by-hash holds SHA256 alone, and apt asks by the strongest that Release names.
      ...option('MD5', 'false'),
      ...option('SHA1', 'false'),
      ...option('SHA512', 'false'),
      'release',
      view,
    ],
    repositoryFolder,
    signal,
  );
  // A `file:` source with an uncompressed index is used in place by apt: it would change under a host that did not update.
  for (const architecture of request.architectures) await rm(join(view, 'main', `binary-${architecture}`, 'Packages'));
  await writeWhole(join(view, 'Release'), release);
  await key.clearsign(join(view, 'Release'), join(view, 'InRelease'), signal);
  await writeWhole(join(view, 'InRelease'), await readFile(join(view, 'InRelease')));
  await makeReadable(view, signal);
};
