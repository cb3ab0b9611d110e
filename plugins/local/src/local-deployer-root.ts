import { access, type FileHandle, lstat, mkdir, mkdtemp, readdir, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import {
  type ForeignPackage,
  type Host,
  isPluginError,
  type PackageName,
  PluginError,
  parsePackageVersion,
  type Receipt,
  type RunResult,
  type Sandbox,
} from '@pipit/core';
import {
  hostScriptPaths,
  listConfined,
  minimalEnvironment,
  openConfinedFile,
  openConfinedFolder,
  parseHostReceipt,
  readConfinedText,
  runCommand,
  writeConfined,
} from '@pipit/plugin-kit';

/** A file of a host is small; what is larger was not written by the host script. */
const MAX_HOST_FILE_BYTES = 256 * 1024;

/** dpkg's database of a machine with thousands of packages has a tenth of this. */
const MAX_STATUS_BYTES = 64 * 1024 * 1024;

/** Host ids become folder names. */
const HOST_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** The folder that is a host's root. */
export const hostRoot = (folder: string, hostId: string): string => {
  if (!HOST_ID.test(hostId))
    throw new PluginError({
      code: 'HOST_ID_INVALID',
      message: `${JSON.stringify(hostId.slice(0, 100))} cannot be a local host: its id becomes a folder's name`,
      hint: 'Use letters, digits, ".", "_" and "-", beginning with a letter or digit.',
      recovery: 'stop',
    });
  return join(folder, 'hosts', hostId);
};

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Whether somebody marked the host as down, with a file `down` in its folder: it is then neither installed on nor asked. */
export const isDown = (root: string): Promise<boolean> => exists(join(root, 'down'));

/** What apt-get and dpkg need to find in an empty host. */
const FOLDERS = [
  'etc/apt/apt.conf.d',
  'etc/apt/keyrings',
  'etc/apt/preferences.d',
  'etc/apt/sources.list.d',
  'etc/apt/trusted.gpg.d',
  'opt',
  'tmp',
  'usr/share',
  'var/cache/apt/archives/partial',
  'var/lib/apt/lists/partial',
  'var/lib/dpkg/info',
  'var/lib/dpkg/triggers',
  'var/lib/dpkg/updates',
  'var/lib/pipit',
  'var/log/apt',
];

/** Makes an empty host on first use. It belongs to the sandbox's user, who is root there. */
export const ensureRoot = async (root: string, sandbox: Sandbox): Promise<void> => {
  const status = join(root, 'var/lib/dpkg/status');
  if (await exists(status)) return;
  await mkdir(root, { recursive: true });
  // A post-install script may have removed that file, and have made links of folders.
  for (const path of FOLDERS) await (await openConfinedFolder({ root, path }, { make: 0o755 }))?.close();
  await writeConfined({ root, path: 'var/lib/dpkg/status.new' }, '', { mode: 0o644 });
  await sandbox.giveFolder(root);
  // Last: a host with this file is a whole one. It belongs to the sandbox's user too, for dpkg makes a hard link of it.
  await rename(`${status}.new`, status);
};

/** Whether a path, its links followed, lies in the host. Code that ran there may have made links that lead out of it. */
export const isInside = async (root: string, path: string): Promise<boolean> => {
  const real = await realpath(path).catch(() => undefined);
  return real?.startsWith(`${await realpath(root)}/`) === true;
};

/** Opens a host's own file; undefined: not there, not a plain file, or a link that leads out of the host. */
export const openHostFile = async (root: string, path: string): Promise<FileHandle | undefined> => {
  const [realRoot, folder] = await Promise.all([realpath(root), realpath(dirname(path))]).catch(() => []);
  // Packages may have links from one folder of the host to another; one that is put there after this is refused.
  if (realRoot === undefined || folder?.startsWith(`${realRoot}/`) !== true) return undefined;
  return openConfinedFile({ root: realRoot, path: relative(realRoot, join(folder, basename(path))) }).catch(() => undefined);
};

/** A host's own file (its end, when it is long); undefined as for {@link openHostFile}. */
export const readHostFile = async (root: string, path: string): Promise<string | undefined> => {
  const handle = await openHostFile(root, path);
  if (handle === undefined) return undefined;
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, MAX_HOST_FILE_BYTES);
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, Math.max(0, size - length));
    return buffer.subarray(0, bytesRead).toString('utf8');
  } finally {
    await handle.close();
  }
};

/** dpkg's own answer for one package on this host. */
interface PackageState {
  readonly status: string;
  readonly version: string;
  /** Pipit's own field in its control file. */
  readonly mark: string;
}

const JOURNAL = 'var/lib/dpkg/updates';
/** dpkg merges its journal after 250 entries. Source: dpkg, lib/dpkg/dbmodify.c, MAXUPDATES. */
const MAX_JOURNAL_ENTRIES = 250;

/**
 * Copies what dpkg-query asks of a host's database. A post-install script may have put anything in the place of each file there: of a pipe dpkg-query
 * would wait for a writer, and read gigabytes of holes into memory, outside of all limits.
 *
 * @returns false when there is no database that can be read
 */
const copyDatabase = async (root: string, to: string): Promise<boolean> => {
  try {
    const status = await readConfinedText({ root, path: 'var/lib/dpkg/status' }, MAX_STATUS_BYTES);
    if (status === undefined) return false;
    await mkdir(join(to, 'updates'));
    await writeFile(join(to, 'status'), status);
    let left = MAX_JOURNAL_ENTRIES;
    for await (const { path } of listConfined({ root, path: JOURNAL })) {
      if (!/^\d+$/.test(basename(path))) continue;
      if (left === 0) return false;
      left -= 1;
      await writeFile(join(to, 'updates', basename(path)), (await readConfinedText({ root, path }, MAX_HOST_FILE_BYTES)) ?? '');
    }
    return true;
  } catch (thrown) {
    if (isPluginError(thrown)) return false;
    throw thrown;
  }
};

const queryPackage = async (root: string, name: PackageName, signal: AbortSignal): Promise<PackageState | undefined> => {
  const copy = await mkdtemp(join(tmpdir(), 'pipit-dpkg-'));
  try {
    if (!(await copyDatabase(root, copy))) return undefined;
    const format = ['$', '{db:Status-Status} $', '{Version} $', '{X-Pipit-Commit}\\n'].join('');
    const argv = ['dpkg-query', `--admindir=${copy}`, '--show', `--showformat=${format}`, '--', name];
    const result: RunResult = await runCommand(argv, { cwd: '/', env: minimalEnvironment('/'), signal, timeoutMs: 20_000 });
    const [status = '', version = '', mark = ''] = result.stdout.split('\n')[0]?.split(' ') ?? [];
    return result.exitCode === 0 && version !== '' && status !== 'not-installed' && status !== 'config-files'
      ? { status, version, mark }
      : undefined;
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
};

/** What stands on a host: the version from dpkg's database, with digest and sequence where the receipt speaks of that version. */
export const readInstalled = async (
  host: Host,
  root: string,
  name: PackageName,
  signal: AbortSignal,
): Promise<{ readonly installed?: Receipt; readonly foreign?: ForeignPackage; readonly broken?: string }> => {
  const state = await queryPackage(root, name, signal);
  if (state === undefined) return {};
  if (state.status !== 'installed' && !state.status.startsWith('triggers-'))
    return { broken: `${name} ${state.version} is ${state.status} on ${host.id}` };
  const { receipt: path, intent } = hostScriptPaths({ root, key: '', artifact: { name } });
  const receipt = parseHostReceipt((await readHostFile(root, path)) ?? '');
  if (receipt?.version === state.version) return { installed: receipt };
  // As the host script has it: see is_ours there.
  const intended = (await readHostFile(root, intent))?.includes(`"version":"${state.version}"`) === true;
  if (state.mark === '' && !intended) return { foreign: { name, version: state.version } };
  return { installed: { version: parsePackageVersion(state.version) } };
};

/** All that apt-get and dpkg said in the newest try of a package on a host; empty when there was none. */
export const readNewestInstallLog = async (root: string, name: PackageName): Promise<string> => {
  const folder = dirname(hostScriptPaths({ root, key: '', artifact: { name } }).log);
  if (!(await isInside(root, folder))) return '';
  const logs = (await readdir(folder)).filter((file) => file.endsWith('.log'));
  const aged = await Promise.all(logs.map(async (file) => ({ file, at: (await lstat(join(folder, file))).mtimeMs })));
  const newest = aged.sort((one, other) => other.at - one.at)[0];
  return newest === undefined ? '' : ((await readHostFile(root, join(folder, newest.file))) ?? '');
};
