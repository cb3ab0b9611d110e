import { existsSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type ConfineOptions, PluginError } from '@pipit/core';
import { type SystemPart, systemParts } from './system-folders.js';

export interface BubblewrapSettings {
  readonly bwrap: string;
  readonly setpriv: string;
  /** Paths that confined code must not see, also where a readable folder holds them. */
  readonly hidden: readonly string[];
  /** Paths that are shown, read-only, beside the system's own. */
  readonly readable: readonly string[];
  /** Who runs inside. */
  readonly user: { readonly uid: number; readonly gid: number };
  /** Whether this process may change its uid. */
  readonly isRoot: boolean;
  /** Whether a filter for system calls is at descriptor 8. */
  readonly hasFilter: boolean;
  /** How much each folder of memory may hold; this bwrap cannot bound them without it. */
  readonly memoryFolderBytes?: number;
}

/** Folders of memory, empty in each sandbox. */
const EMPTY_FOLDERS = [
  ['/tmp', '1777'],
  ['/var/tmp', '1777'],
  ['/run', '0755'],
  ['/dev/shm', '1777'],
] as const;

const realPath = (path: string): string => (existsSync(path) ? realpathSync(path) : path);

const isWithin = (path: string, folder: string): boolean => path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`);

const isWithinAny = (path: string, folders: readonly string[]): boolean => folders.some((folder) => isWithin(path, folder));

/** Parents first, each once, and none that lies in another. */
const outermost = (paths: readonly string[]): readonly string[] => {
  const unique = [...new Set(paths)].sort();
  return unique.filter((path) => !unique.some((other) => other !== path && isWithin(path, other)));
};

/** The folders above a path, the topmost first. */
const parentsOf = (path: string): readonly string[] => (dirname(path) === '/' ? [] : [...parentsOf(dirname(path)), dirname(path)]);

const withoutMountPoint = (to: string): PluginError =>
  new PluginError({
    code: 'SANDBOX_MOUNT_POINT_MISSING',
    message: `Nothing can be shown at ${to} in the sandbox: it lies in a folder that is shown as it is, and that has no such folder`,
    hint: `mkdir -p ${to}`,
    recovery: 'stop',
  });

const wouldExpose = (folder: string, hidden: string): PluginError =>
  new PluginError({
    code: 'SANDBOX_EXPOSES_HIDDEN',
    message: `${folder} cannot be given to the sandbox: ${hidden}, which it must not see, lies within`,
    hint: 'Put the folder beside the hidden one, and not around it.',
    recovery: 'stop',
  });

/** A path is shown under the name that was given and, where that leads over a link, under its real one. */
const shownAs = (path: string): readonly { readonly from: string; readonly to: string }[] => {
  const from = realPath(path);
  return from === path
    ? [{ from, to: path }]
    : [
        { from, to: from },
        { from, to: path },
      ];
};

const systemArguments = (part: SystemPart): readonly string[] =>
  'link' in part ? ['--symlink', part.link, part.path] : ['--ro-bind', part.real, part.path];

/**
 * The command that runs `argv` in bubblewrap, which reads the account files at the descriptors 3 and 4, and with `network: outbound` a resolv.conf at 5: an empty root, in it the system's programs and the given folders, own processes and devices.
 * It does not change the folder: start it with `cwd` in one that is visible.
 */
export const bubblewrapCommand = (
  settings: BubblewrapSettings,
  argv: readonly string[],
  options: Omit<ConfineOptions, 'env'>,
): readonly string[] => {
  const hidden = settings.hidden.map(realPath);
  const system = systemParts();
  const readable = settings.readable.filter(existsSync).flatMap(shownAs);
  const writable = [options.folder, ...(options.writable ?? [])].flatMap(shownAs);
  const mounts = (options.mounts ?? []).map((mount) => ({ ...mount, from: realPath(mount.from) }));
  for (const { from } of [...writable, ...mounts]) {
    const exposed = hidden.find((path) => isWithin(path, from));
    if (exposed !== undefined) throw wouldExpose(from, exposed);
  }

  const asTheyAre = [...system.map(({ path }) => path), ...readable.map(({ to }) => to)];
  const covered = outermost(hidden.filter((path) => existsSync(path) && isWithinAny(path, asTheyAre)));
  /** Whether a folder can be made at this path in the sandbox. */
  const isOurs = (path: string): boolean => !isWithinAny(path, asTheyAre) || isWithinAny(path, covered);
  const given = [...writable.map((each) => ({ ...each, writable: true })), ...mounts].sort((one, other) =>
    one.to < other.to ? -1 : one.to > other.to ? 1 : 0,
  );
  const missing = mounts.find(
    ({ to }) =>
      !existsSync(to) &&
      !isOurs(to) &&
      !isWithinAny(
        to,
        [...writable, ...readable].map((each) => each.to),
      ),
  );
  if (missing !== undefined) throw withoutMountPoint(missing.to);
  const parentsFor = (paths: readonly string[]): readonly string[] =>
    [...new Set(paths.flatMap(parentsOf).filter(isOurs))].sort().flatMap((path) => ['--perms', '0755', '--dir', path]);

  const { uid, gid } = settings.user;
  return [
    settings.bwrap,
    ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try', '--new-session', '--die-with-parent'],
    // `outbound` is a network that the command is started in.
    ...(options.network === 'none' ? ['--unshare-net'] : []),
    ...(settings.isRoot ? [] : ['--unshare-user', '--uid', `${uid}`, '--gid', `${gid}`]),
    ...parentsFor(system.map(({ path }) => path)),
    ...system.flatMap(systemArguments),
    ...accountArguments(),
    ...resolverArguments(options.network),
    ...['--dev', '/dev', '--proc', '/proc'],
    ...EMPTY_FOLDERS.flatMap(([path, mode]) => [...sizeArguments(settings), '--perms', mode, '--tmpfs', path]),
    ...['--symlink', '/run', '/var/run'],
    ...parentsFor(readable.map(({ to }) => to)),
    ...readable.flatMap(({ from, to }) => ['--ro-bind', from, to]),
    ...covered.flatMap(cover),
    ...parentsFor(given.map(({ to }) => to)),
    ...given.flatMap(({ from, to, writable: isWritable }) => [isWritable === true ? '--bind' : '--ro-bind', from, to]),
    // The memory that holds the mount points would be the code's own without root.
    ...['--remount-ro', '/'],
    ...(settings.hasFilter ? ['--seccomp', '8'] : []),
    '--',
    ...(settings.isRoot ? setprivArguments(settings.setpriv, settings.user) : []),
    ...argv,
  ];
};

const sizeArguments = ({ memoryFolderBytes }: BubblewrapSettings): readonly string[] =>
  memoryFolderBytes === undefined ? [] : ['--size', `${memoryFolderBytes}`];

const accountArguments = (): readonly string[] => [
  ...['--perms', '0644', '--ro-bind-data', '3', '/etc/passwd'],
  ...['--perms', '0644', '--ro-bind-data', '4', '/etc/group'],
];

/** Often a link into /run, which is not shown. */
const resolverArguments = (network: ConfineOptions['network']): readonly string[] => {
  if (network === 'outbound') return ['--perms', '0644', '--ro-bind-data', '5', '/etc/resolv.conf'];
  return existsSync('/etc/resolv.conf') ? ['--ro-bind', realpathSync('/etc/resolv.conf'), '/etc/resolv.conf'] : [];
};

/** Memory in place of a folder, nothing in place of a file or socket. */
const cover = (path: string): readonly string[] =>
  statSync(path).isDirectory() ? ['--perms', '0755', '--tmpfs', path] : ['--ro-bind', '/dev/null', path];

/** Becomes another user for good: no groups, no capabilities, no way to gain any. */
export const setprivArguments = (setpriv: string, { uid, gid }: { readonly uid: number; readonly gid: number }): readonly string[] => [
  setpriv,
  `--reuid=${uid}`,
  `--regid=${gid}`,
  '--clear-groups',
  '--inh-caps=-all',
  '--bounding-set=-all',
  '--no-new-privs',
  '--',
];
