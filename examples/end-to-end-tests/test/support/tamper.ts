import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { execa } from 'execa';
import type { Installation } from './installation.js';

const sha256 = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The file of a version in the pool. */
const poolFile = async ({ localFolder }: Installation, version: string): Promise<string> => {
  const folder = join(localFolder, 'apt/pool/shop', version);
  const [architecture = ''] = await readdir(folder);
  const [name = ''] = await readdir(join(folder, architecture));
  return join(folder, architecture, name);
};

/** Puts other bytes under a version that is published. Returns the digests before and after. */
export const replacePackage = async (
  installation: Installation,
  version: string,
): Promise<{ readonly was: string; readonly is: string }> => {
  const path = await poolFile(installation, version);
  const folder = await mkdtemp(join(tmpdir(), 'pipit-tamper-'));
  try {
    const was = sha256(await readFile(path));
    await execa('dpkg-deb', ['--raw-extract', path, join(folder, 'root')]);
    await writeFile(join(folder, 'root/opt/shop/implant'), 'not of this commit\n');
    await execa('dpkg-deb', ['--root-owner-group', '--build', join(folder, 'root'), join(folder, 'other.deb')]);
    const bytes = await readFile(join(folder, 'other.deb'));
    await writeFile(path, bytes);
    return { was: `sha256:${was}`, is: `sha256:${sha256(bytes)}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

/** Makes a suite's signed index agree with the replaced bytes, as somebody with the repository's key could: for apt all is well then. */
export const signReplaced = async (
  { localFolder }: Installation,
  suite: string,
  digests: { readonly was: string; readonly is: string },
  size: number,
): Promise<void> => {
  const view = join(localFolder, 'apt/dists', suite);
  let release = await readFile(join(view, 'Release'), 'utf8');
  for (const architecture of await readdir(join(view, 'main'))) {
    const folder = join(view, 'main', architecture);
    const before = await readFile(join(folder, 'Packages.gz'));
    const text = gunzipSync(before)
      .toString()
      .replaceAll(digests.was.slice('sha256:'.length), digests.is.slice('sha256:'.length))
      .replace(/^Size: .*$/gm, `Size: ${size}`)
      .replace(/^(?:MD5sum|SHA1|SHA512): .*\n/gm, '');
    const after = gzipSync(text);
    await writeFile(join(folder, 'Packages.gz'), after);
    await writeFile(join(folder, 'by-hash/SHA256', sha256(after)), after);
    const replace = (old: string | Uint8Array, fresh: string | Uint8Array): void => {
      const line = new RegExp(`^ ${sha256(old)} +\\d+ `, 'gm');
      release = release.replace(line, ` ${sha256(fresh)} ${Buffer.byteLength(fresh)} `);
    };
    replace(before, after);
    replace(gunzipSync(before), text);
  }
  await writeFile(join(view, 'Release'), release);
  const home = join(localFolder, 'gnupg');
  await execa('gpg', ['--homedir', home, '--batch', '--yes', '--clearsign', '--output', join(view, 'InRelease'), join(view, 'Release')]);
};

export const packageSize = async (installation: Installation, version: string): Promise<number> =>
  (await readFile(await poolFile(installation, version))).length;
