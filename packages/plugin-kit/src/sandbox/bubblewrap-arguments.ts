import { existsSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type ConfineOptions, PluginError } from '@pipit/core';

export interface BubblewrapSettings {
  readonly bwrap: string;
  readonly setpriv: string;
  /** Paths that confined code must not see, beside those that nobody's code needs. */
  readonly hidden: readonly string[];
  /** Paths that stay visible, read-only, though they lie under a hidden one. */
  readonly readable: readonly string[];
  /** Who runs inside. */
  readonly user: { readonly uid: number; readonly gid: number };
  /** Whether this process may change its uid. */
  readonly isRoot: boolean;
}

/** Places of other users' files and sockets: each becomes an empty folder of memory. */
const ALWAYS_HIDDEN = ['/tmp', '/var/tmp', '/run', '/root', '/home'];

const realPath = (path: string): string => (existsSync(path) ? realpathSync(path) : path);

const isWithin = (path: string, folder: string): boolean => path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`);

/** Parents first, each once, and none that lies in another. */
const outermost = (paths: readonly string[]): readonly string[] => {
  const unique = [...new Set(paths)].sort();
  return unique.filter((path) => !unique.some((other) => other !== path && isWithin(path, other)));
};

/** The folders on the way from a hidden folder to a path in it, which the memory in its place does not have. */
const hiddenParents = (path: string, hidden: readonly string[]): readonly string[] => {
  const parent = dirname(path);
  return hidden.some((folder) => folder !== parent && isWithin(parent, folder)) ? [...hiddenParents(parent, hidden), parent] : [];
};

/** Files that name resolution needs and that often link into /run. */
const resolverFiles = (): readonly string[] => ['/etc/resolv.conf'].filter(existsSync).map((path) => realpathSync(path));

const withoutMountPoint = (to: string): PluginError =>
  new PluginError({
    code: 'SANDBOX_MOUNT_POINT_MISSING',
    message: `Nothing can be shown at ${to} in the sandbox: this machine has no such folder`,
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

/**
 * The arguments of bubblewrap: the machine read-only, own processes and devices, memory in place of what is hidden, and the given folders.
 * It does not change the folder: start it with `cwd` in one that is visible.
 */
export const bubblewrapArguments = (
  settings: BubblewrapSettings,
  argv: readonly string[],
  options: Omit<ConfineOptions, 'env'>,
): readonly string[] => {
  const hiddenByCaller = settings.hidden.map(realPath);
  const hidden = outermost([...ALWAYS_HIDDEN.map(realPath), ...hiddenByCaller].filter(existsSync));
  const isHidden = (path: string): boolean => hidden.some((folder) => isWithin(path, folder));

  const writable = outermost([options.folder, ...(options.writable ?? [])].map(realPath));
  const mounts = (options.mounts ?? []).map((mount) => ({ ...mount, from: realPath(mount.from) }));
  for (const given of [...writable, ...mounts.map((mount) => mount.from)]) {
    const exposed = hiddenByCaller.find((path) => isWithin(path, given));
    if (exposed !== undefined) throw wouldExpose(given, exposed);
  }
  const missing = mounts.find(({ to }) => !existsSync(to) && !isHidden(to) && !writable.some((folder) => isWithin(to, folder)));
  if (missing !== undefined) throw withoutMountPoint(missing.to);

  const shown = [...resolverFiles(), ...settings.readable.map(realPath)].filter((path) => existsSync(path) && isHidden(path));
  const parents = [...shown, ...writable, ...mounts.map((mount) => mount.to)].flatMap((path) => hiddenParents(path, hidden));
  const { uid, gid } = settings.user;
  return [
    settings.bwrap,
    ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--new-session', '--die-with-parent'],
    ...(settings.isRoot ? [] : ['--unshare-user', '--uid', `${uid}`, '--gid', `${gid}`]),
    ...['--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc'],
    ...hidden.flatMap(hide),
    // By itself bubblewrap would make them for root alone.
    ...[...new Set(parents)].sort().flatMap((path) => ['--perms', '0755', '--dir', path]),
    ...shown.flatMap((path) => ['--ro-bind', path, path]),
    ...writable.flatMap((path) => ['--bind', path, path]),
    ...mounts.flatMap(({ from, to, writable: isWritable }) => [isWritable === true ? '--bind' : '--ro-bind', from, to]),
    '--',
    ...(settings.isRoot ? setprivArguments(settings.setpriv, settings.user) : []),
    ...argv,
  ];
};

/** Memory in place of a folder, nothing in place of a file or socket. */
const hide = (path: string): readonly string[] =>
  statSync(path).isDirectory() ? ['--perms', isTemporary(path) ? '1777' : '0755', '--tmpfs', path] : ['--ro-bind', '/dev/null', path];

const isTemporary = (path: string): boolean => path === '/tmp' || path === '/var/tmp';

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
