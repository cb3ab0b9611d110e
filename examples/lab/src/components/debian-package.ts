import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { readDebianMirror } from './apt-sources.js';
import { labCacheFolder } from './cache-folder.js';
import { cachedFolder } from './cached-folder.js';

const DEBIAN_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Which package to unpack, and from which Debian release. */
export interface DebianPackageRequest {
  /** Name of the package: `consul`. */
  readonly name: string;
  /** Codename of the release that has it: `bullseye`. */
  readonly suite: string;
  /** What to tell the reader when the mirror no longer has that release. */
  readonly otherwise: string;
  /** Where unpacked packages are kept. Default: the lab's cache folder. */
  readonly cache?: string;
  readonly signal?: AbortSignal;
}

/** Downloads with apt, which checks the signature, without touching the machine's own lists or packages. */
const downloadAndUnpack = async ({ name, suite, otherwise, signal }: DebianPackageRequest, folder: string): Promise<void> => {
  const mirror = await readDebianMirror();
  const apt = join(folder, '.apt');
  await mkdir(join(apt, 'lists', 'partial'), { recursive: true });
  await mkdir(join(apt, 'cache', 'archives', 'partial'), { recursive: true });
  const list = join(apt, 'sources.list');
  const signedBy = mirror.signedBy ?? DEBIAN_KEYRING;
  await writeFile(list, `deb [signed-by=${signedBy}] ${mirror.url} ${suite} main\n`);
  const options = [
    `Dir::Etc::sourcelist=${list}`,
    'Dir::Etc::sourceparts=/dev/null',
    'Dir::Etc::preferencesparts=/dev/null',
    `Dir::State::lists=${join(apt, 'lists')}`,
    `Dir::Cache=${join(apt, 'cache')}`,
    'APT::Sandbox::User=root',
    'Acquire::Languages=none',
  ].flatMap((option) => ['-o', option]);
  const run = { cwd: apt, ...(signal && { cancelSignal: signal }), env: { LC_ALL: 'C' } };
  try {
    await execa('apt-get', [...options, 'update', '--error-on=any'], run);
    await execa('apt-get', [...options, 'download', name], run);
  } catch (cause) {
    const output = (cause as { stderr?: string }).stderr ?? '';
    throw new Error(
      /404|does not have a Release file|Unable to locate|no installation candidate|has no candidate/i.test(output)
        ? `This machine's Debian mirror has no package ${name} for ${suite} (any more): ${otherwise}\n${output}`
        : `Could not download ${name} of ${suite} from this machine's Debian mirror:\n${output}`,
      { cause },
    );
  }
  const deb = (await readdir(apt)).find((file) => file.endsWith('.deb'));
  if (deb === undefined) throw new Error(`apt-get download ${name} ended well but left no .deb file`);
  await execa('dpkg-deb', ['--extract', deb, folder], run);
  await rm(apt, { recursive: true });
};

/**
 * Unpacks a Debian package into a folder of the cache, without installing it: no script of the package runs,
 * no daemon starts, nothing outside the folder changes. Done once a machine.
 * @returns The folder that has the package's tree (`<folder>/usr/bin/...`).
 * @throws Error that says so when the mirror no longer has the release or the package.
 */
export const unpackDebianPackage = async (request: DebianPackageRequest): Promise<string> =>
  cachedFolder(join(request.cache ?? (await labCacheFolder()), 'packages', `${request.suite}-${request.name}`), (folder) =>
    downloadAndUnpack(request, folder),
  );
