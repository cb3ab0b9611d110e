import { createHash } from 'node:crypto';
import { PluginError, type Shell } from '@pipit/core';
import { keyringOf } from './armoured-key.js';
import { type IndexedPackage, parsePackagesIndexes } from './packages-index.js';
import type { PublishedTree } from './published-tree.js';
import { parseReleaseFile } from './release-file.js';
import { MAX_UNPACKED_INDEX_BYTES, unpackIndex } from './unpack-index.js';

/** A suite as hosts find it. */
export type SuiteState =
  | { readonly state: 'missing' }
  /** A host's apt refuses it. */
  | { readonly state: 'broken'; readonly raw: string }
  | { readonly state: 'readable'; readonly packages: readonly IndexedPackage[]; readonly architectures: readonly string[] };

export interface ReadSuiteRequest {
  readonly tree: PublishedTree;
  readonly suite: string;
  /** Default `main`. */
  readonly component?: string;
  /** Armoured public keys that hosts trust. Without them the signature is not looked at. */
  readonly keys?: readonly string[];
  /** Where `gpgv` runs; its folder gets the files to check. */
  readonly shell: Pick<Shell, 'folder' | 'run' | 'write'>;
}

const bytesOnce = async function* (bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
};

/** Why gpgv refuses the signature, or undefined where it is good. */
const signatureFault = async (
  { shell, suite }: ReadSuiteRequest,
  inRelease: Uint8Array,
  keys: readonly string[],
): Promise<string | undefined> => {
  const keyring = `${shell.folder}/verify-${suite}.gpg`;
  const signed = `${shell.folder}/verify-${suite}.InRelease`;
  await shell.write(keyring, bytesOnce(keyringOf(keys)));
  await shell.write(signed, bytesOnce(inRelease));
  const result = await shell.run(['gpgv', '--keyring', keyring, signed]);
  if (result.exitCode === 0) return undefined;
  const lines = result.stderr.trim().split('\n');
  return (
    lines.findLast((line) => /BAD signature|Can't check|No public key|not detached|no signature/i.test(line)) ??
    lines.at(-1) ??
    'gpgv failed'
  );
};

/** The clear text that the signature is around; empty without one. Each mark is looked for once. Source: RFC 9580, 7. */
const clearText = (inRelease: string): string => {
  const lines = inRelease.split(/\r?\n/);
  const begin = lines.indexOf('-----BEGIN PGP SIGNED MESSAGE-----');
  const headersEnd = begin < 0 ? -1 : lines.indexOf('', begin);
  const end = headersEnd < 0 ? -1 : lines.indexOf('-----BEGIN PGP SIGNATURE-----', headersEnd);
  return lines
    .slice(headersEnd + 1, Math.max(end, 0))
    .map((line) => (line.startsWith('- ') ? line.slice(2) : line))
    .join('\n');
};

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/**
 * What a suite lists, read as a host reads it: InRelease with its signature, then each `Packages` file with the digest that InRelease names.
 *
 * @throws PluginError `REPOSITORY_INDEX_BROKEN` (retry) when an index is not the one that InRelease names, as in the middle of a switch;
 * `REPOSITORY_INDEX_TOO_LARGE` (stop)
 */
export const readSuite = async (request: ReadSuiteRequest): Promise<SuiteState> => {
  const { tree, suite, component = 'main', keys } = request;
  const inRelease = await tree.read(`dists/${suite}/InRelease`);
  if (inRelease === undefined) return { state: 'missing' };
  const fault = keys === undefined ? undefined : await signatureFault(request, inRelease, keys);
  if (fault !== undefined) return { state: 'broken', raw: fault };
  const release = parseReleaseFile(clearText(Buffer.from(inRelease).toString('utf8')));
  const texts: string[] = [];
  let leftBytes = MAX_UNPACKED_INDEX_BYTES;
  for (const architecture of release.architectures) {
    const path = `${component}/binary-${architecture}/Packages.gz`;
    const expected = release.sha256.get(path);
    // A suite without packages may have no component at all.
    if (expected === undefined) continue;
    const compressed = await tree.read(`dists/${suite}/${path}`);
    if (compressed === undefined || sha256(compressed) !== expected)
      throw new PluginError({
        code: 'REPOSITORY_INDEX_BROKEN',
        message: `${tree.place}: dists/${suite}/${path} is ${compressed === undefined ? 'missing' : 'not the one that InRelease names'}`,
        hint: 'Somebody publishes at the same time, or changed the file: publish the suite again.',
        recovery: 'retry',
      });
    const text = await unpackIndex(compressed, { path: `${tree.place}: dists/${suite}/${path}`, maxBytes: leftBytes });
    leftBytes -= text.length;
    texts.push(text);
  }
  return { state: 'readable', packages: parsePackagesIndexes(texts), architectures: release.architectures };
};

/** The error of a suite whose signature hosts refuse. */
export const signatureBroken = (place: string, suite: string, raw: string): PluginError =>
  new PluginError({
    code: 'REPOSITORY_SIGNATURE_BROKEN',
    message: `${place}: the suite ${suite} is not signed with the repository's key, so hosts refuse it: ${raw}`,
    hint: "Somebody changed InRelease, or signed with another key: publish the suite again with the repository's own tool, and give hosts the key that it signs with.",
    recovery: 'stop',
  });
