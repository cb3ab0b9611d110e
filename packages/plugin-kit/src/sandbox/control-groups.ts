import { readdirSync, readFileSync, readlinkSync, rmdirSync } from 'node:fs';
import { access, constants, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { isProcessAlive } from '../detached/process-identity.js';

export const CONTROLLERS = ['memory', 'pids', 'cpu'] as const;
export type Controller = (typeof CONTROLLERS)[number];

/** Where a command's control group can be made. `argument` is what the work's script takes as `groups`. */
export interface ControlGroups {
  readonly argument: string;
  readonly controllers: readonly Controller[];
  /** The folders below which groups are made; none where systemd makes and removes them. */
  readonly folders: readonly string[];
}

interface Mount {
  readonly version: 1 | 2;
  readonly root: string;
  readonly point: string;
  readonly options: readonly string[];
}

const isController = (name: string): name is Controller => CONTROLLERS.some((each) => each === name);

/** Source: proc(5), /proc/PID/mountinfo. */
const parseMounts = (text: string): readonly Mount[] =>
  text.split('\n').flatMap((line): Mount[] => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root = '', point = ''] = before.split(' ');
    const [type, , options = ''] = after.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    return [{ version: type === 'cgroup' ? 1 : 2, root, point, options: options.split(',') }];
  });

/** This process's own group in each hierarchy, by its controllers; '' is the one of version 2. Source: cgroups(7). */
const parseOwn = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text.split('\n').flatMap((line): [string, string][] => {
      const [, names, ...path] = line.split(':');
      return names === undefined ? [] : names.split(',').map((name): [string, string] => [name, path.join(':')]);
    }),
  );

const folderOf = (mount: Mount, own: string): string => {
  const below = relative(mount.root, own);
  return below.startsWith('..') ? mount.point : join(mount.point, below);
};

const isWritable = (path: string): Promise<boolean> =>
  access(path, constants.W_OK).then(
    () => true,
    () => false,
  );

const words = async (path: string): Promise<readonly string[]> =>
  (await readFile(path, 'utf8').catch(() => '')).split(/\s+/).filter((word) => word !== '');

/** Version 1: a hierarchy for each controller, or for several. */
const inVersion1 = async (mounts: readonly Mount[], own: ReadonlyMap<string, string>): Promise<readonly ControlGroups[]> => {
  const found: { readonly names: readonly Controller[]; readonly folder: string }[] = [];
  for (const mount of mounts.filter(({ version }) => version === 1)) {
    const names = mount.options.filter(isController);
    const path = names[0] === undefined ? undefined : own.get(names[0]);
    if (path === undefined) continue;
    const folder = folderOf(mount, path);
    if ((await isWritable(folder)) && !found.some((each) => each.folder === folder)) found.push({ names, folder });
  }
  if (found.length === 0) return [];
  return [
    {
      argument: found.map(({ names, folder }) => `1 ${names.join(',')} ${folder}`).join('\n'),
      controllers: found.flatMap(({ names }) => names),
      folders: found.map(({ folder }) => folder),
    },
  ];
};

/** Turns on for the groups below what is not yet on. It fails where processes of their own stand in the group. */
const enable = async (folder: string): Promise<readonly Controller[]> => {
  const available = (await words(join(folder, 'cgroup.controllers'))).filter(isController);
  for (const name of available) await writeFile(join(folder, 'cgroup.subtree_control'), `+${name}`).catch(() => undefined);
  return (await words(join(folder, 'cgroup.subtree_control'))).filter(isController);
};

/** Version 2: the nearest group above this process in which others may be made. */
const inVersion2 = async (mounts: readonly Mount[], own: ReadonlyMap<string, string>): Promise<readonly ControlGroups[]> => {
  const mount = mounts.find(({ version }) => version === 2);
  const path = own.get('');
  if (mount === undefined || path === undefined) return [];
  for (let folder = folderOf(mount, path); folder.startsWith(mount.point); folder = dirname(folder)) {
    if (!(await isWritable(join(folder, 'cgroup.subtree_control')))) return [];
    const controllers = await enable(folder);
    if (controllers.length > 0) return [{ argument: `2 ${controllers.join(',')} ${folder}`, controllers, folders: [folder] }];
  }
  return [];
};

/** Where control groups may be had, the best first; each is only known to work once a command ran in it. */
export const findControlGroups = async (isRoot: boolean): Promise<readonly ControlGroups[]> => {
  const mounts = parseMounts(await readFile('/proc/self/mountinfo', 'utf8'));
  const own = parseOwn(await readFile('/proc/self/cgroup', 'utf8').catch(() => ''));
  const version2 = mounts.find(({ version }) => version === 2);
  const offered = version2 === undefined ? [] : (await words(join(version2.point, 'cgroup.controllers'))).filter(isController);
  const hasSystemd = offered.length > 0 && (await isWritable('/run/systemd/private').catch(() => false));
  const hasManager = offered.length > 0 && (await isWritable(`/run/user/${process.getuid?.()}/systemd/private`));
  const scope = (argument: string): ControlGroups => ({ argument, controllers: offered, folders: [] });
  // What systemd manages is changed by systemd only.
  return [
    ...(isRoot && hasSystemd ? [scope('scope')] : []),
    ...(!isRoot && hasManager ? [scope('scope --user')] : []),
    ...(isRoot && hasSystemd ? [] : await inVersion2(mounts, own)),
    ...(await inVersion1(mounts, own)),
  ];
};

/** Begins the names of the groups of this machine, or container: pids mean something only in their own namespace. */
export const controlGroupPrefix = (): string => `pipit-${readlinkSync('/proc/self/ns/pid').replaceAll(/\D/g, '')}`;

/** Ends what runs in the groups of commands whose own process is gone, and removes them: a killed pipit, or a kill of that process, left them. */
export const sweepControlGroups = async (folders: readonly string[], prefix: string): Promise<void> => {
  for (const folder of folders)
    for (const name of readdirSync(folder)) {
      const [, pid, startTime] = name.startsWith(`${prefix}-`) ? (/-([0-9]+)-([0-9]+)$/.exec(name) ?? []) : [];
      if (pid === undefined || startTime === undefined || (await isProcessAlive({ pid: Number(pid), startTime }))) continue;
      try {
        for (const left of readFileSync(join(folder, name, 'cgroup.procs'), 'utf8')
          .split('\n')
          .filter(Boolean))
          process.kill(Number(left), 'SIGKILL');
        rmdirSync(join(folder, name));
      } catch {
        // It is gone already, or not yet empty: the next start looks again.
      }
    }
};
