import { existsSync } from 'node:fs';
import { lstat, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConfineOptions, type Labels, PluginError, type RunResult, type Sandbox, type SandboxGap } from '@pipit/core';
import { minimalEnvironment, SYSTEM_PATH } from '../command/minimal-environment.js';
import { runCommand } from '../command/run-command.js';
import { type BubblewrapSettings, bubblewrapCommand, setprivArguments } from './bubblewrap-arguments.js';
import { type ControlGroups, controlGroupPrefix, findControlGroups, sweepControlGroups } from './control-groups.js';
import { CALLS_OPEN, FILES_OPEN, limitGaps, networkGaps } from './sandbox-gaps.js';
import { DEFAULT_SANDBOX_NETWORK, outboundArguments, type SandboxNetwork, type SandboxNetworkMode } from './sandbox-network.js';
import { systemCallFilter } from './system-call-filter.js';
import { accountFiles } from './system-folders.js';
import {
  DEFAULT_SANDBOX_LIMITS,
  groupsEnvironment,
  processLimits,
  type SandboxLimits,
  type WorkSettings,
  workCommand,
} from './work-limits.js';

export interface SandboxUser {
  readonly uid: number;
  readonly gid: number;
}

export interface SandboxOptions {
  /** Absolute paths that confined code must not see, folders or files: pipit's data folder, its config, files of keys, sockets. One that does not exist yet counts once it does. */
  readonly hidden: readonly string[];
  /** Absolute paths that confined code may read, beside the system's programs, libraries and the part of /etc that they need. One that does not exist yet counts once it does. */
  readonly readable?: readonly string[];
  /** Absolute paths of folders of programs, such as that of the running `node`: readable, and put on PATH, last. */
  readonly path?: readonly string[];
  /** Who confined code runs as. Default {@link DEFAULT_SANDBOX_USER}. When pipit is not root, it is so only inside. */
  readonly user?: SandboxUser;
  /** The config says that the repositories are trusted: without any sandbox to be had, confined code runs as pipit does. */
  readonly trusted?: boolean;
  /** What each piece of work may use. Default {@link DEFAULT_SANDBOX_LIMITS}. */
  readonly limits?: SandboxLimits;
  /** What confined code reaches when its caller names nothing else. Default {@link DEFAULT_SANDBOX_NETWORK}. */
  readonly network?: SandboxNetwork;
  readonly signal?: AbortSignal;
  /** Where the programs are. Default: looked up on the system's PATH. */
  readonly programs?: {
    readonly bwrap?: string;
    readonly setpriv?: string;
    readonly prlimit?: string;
    /** `false`: as on a machine that has none. */
    readonly controlGroups?: false;
    readonly slirp4netns?: string;
  };
}

/** A uid that neither Debian (policy 9.2.2) nor systemd (its table of uids) gives to anybody. */
export const DEFAULT_SANDBOX_USER: SandboxUser = { uid: 61_123, gid: 61_123 };

/** A sandbox that does not start within this does not work. */
const PROBE_TIMEOUT_MS = 10_000;

const findProgram = (name: string): string | undefined =>
  SYSTEM_PATH.split(':')
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));

const firstLine = (text: string): string => text.trim().split('\n')[0] ?? '';

/** Undefined when the confined `id -u` answers as it must, else why not. */
const probe = async (argv: readonly string[], uid: number, signal: AbortSignal | undefined): Promise<string | undefined> => {
  let result: RunResult;
  try {
    result = await runCommand(argv, {
      cwd: '/',
      env: minimalEnvironment('/'),
      timeoutMs: PROBE_TIMEOUT_MS,
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (thrown) {
    if (signal?.aborted === true) throw thrown;
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
  if (result.exitCode !== 0) return firstLine(result.stderr) || `exit ${result.exitCode}`;
  return result.stdout.trim() === `${uid}` ? undefined : `it ran as uid ${result.stdout.trim()} and not as ${uid}`;
};

const withTemporaryFolder = async <T>(use: (folder: string) => Promise<T>): Promise<T> => {
  const folder = await mkdtemp(join(tmpdir(), 'pipit-sandbox-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

/** Why a plain change of user would not hide a path: anybody may list it. */
const openHiddenPath = async (hidden: readonly string[]): Promise<string | undefined> => {
  const OTHERS_READ = 0o004;
  for (const path of hidden) {
    const found = await lstat(path).catch(() => undefined);
    if (found !== undefined && (found.mode & OTHERS_READ) !== 0) return path;
  }
  return undefined;
};

const confinedEnvironment = (path: readonly string[], options: ConfineOptions): Labels => ({
  ...minimalEnvironment(options.folder),
  PATH: [SYSTEM_PATH, ...path].join(':'),
  ...options.env,
});

/** A way to confine, before limits: what runs inside, and as whom. */
interface Confinement {
  /** For system calls, where there are namespaces. */
  readonly filter?: Uint8Array | undefined;
  readonly mode: Sandbox['mode'];
  readonly gaps: readonly SandboxGap[];
  inside(argv: readonly string[], options: ConfineOptions): readonly string[];
  giveFolder(folder: string): Promise<void>;
}

const unavailable = (reasons: readonly string[], isRoot: boolean): PluginError =>
  new PluginError({
    code: 'SANDBOX_UNAVAILABLE',
    message: `The code of repositories cannot be confined on this machine: ${reasons.join('; ')}`,
    hint: isRoot
      ? "apt-get install bubblewrap; in a container, give it CAP_SYS_ADMIN. Or set trustRepositories: true, if everybody who can push may also have pipit's keys."
      : "apt-get install bubblewrap, and allow user namespaces (sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000). Or set trustRepositories: true, if everybody who can push may also have pipit's keys.",
    recovery: 'stop',
  });

const giveTo =
  (user: SandboxUser) =>
  async (folder: string): Promise<void> => {
    // chown walks with openat and never follows a link, so that code which still runs there cannot lead it elsewhere.
    const argv = ['chown', '--recursive', '--no-dereference', '-P', `${user.uid}:${user.gid}`, '--', folder];
    const { exitCode, stderr } = await runCommand(argv, { cwd: '/', env: minimalEnvironment('/') });
    if (exitCode !== 0)
      throw new PluginError({
        code: 'SANDBOX_FOLDER_NOT_GIVEN',
        message: `${folder} could not be given to the sandbox's user: ${firstLine(stderr)}`,
        recovery: 'retry',
      });
  };

const nothingToGive = async (): Promise<void> => undefined;

/** Bubblewrap as far as it works, or why it does not. */
const findNamespaces = async (
  options: SandboxOptions,
  own: { readonly isRoot: boolean; readonly user: SandboxUser; readonly setpriv: string | undefined; readonly limits: SandboxLimits },
): Promise<Confinement | string> => {
  const { isRoot, user, setpriv, limits } = own;
  const bwrap = options.programs?.bwrap ?? findProgram('bwrap');
  if (bwrap === undefined) return 'bubblewrap is not installed';
  if (isRoot && setpriv === undefined) return 'setpriv is not installed';
  const help = await runCommand([bwrap, '--help'], { cwd: '/', env: minimalEnvironment('/') }).catch(() => undefined);
  const failures: string[] = [];
  // A kernel without seccomp, or a processor without a filter: the rest still holds.
  for (const filter of [systemCallFilter(process.arch), undefined]) {
    const settings: BubblewrapSettings = {
      bwrap,
      setpriv: setpriv ?? '',
      hidden: options.hidden,
      readable: [...(options.path ?? []), ...(options.readable ?? [])],
      user,
      isRoot,
      hasFilter: filter !== undefined,
      ...(help?.stdout.includes('--size') === true ? { memoryFolderBytes: limits.memoryBytes } : {}),
    };
    const inside: Confinement['inside'] = (argv, confine) => bubblewrapCommand(settings, argv, confine);
    const works = (folder: string) => {
      const work = { folder, accounts: accountFiles(user, folder), filter };
      return probe(
        workCommand({ limits, groups: undefined, prefix: '' }, inside(['id', '-u'], { folder }), work),
        user.uid,
        options.signal,
      );
    };
    const failure = await withTemporaryFolder(works);
    const gaps = filter === undefined ? [CALLS_OPEN] : [];
    if (failure === undefined) return { mode: 'namespaces', filter, gaps, inside, giveFolder: isRoot ? giveTo(user) : nothingToGive };
    failures.push(failure);
  }
  return `bubblewrap: ${failures.at(-1)}`;
};

/** For root: another user only, or why not even that. */
const findUser = async (options: SandboxOptions, user: SandboxUser, setpriv: string): Promise<Confinement | string> => {
  const asUser = setprivArguments(setpriv, user);
  const open = await openHiddenPath(options.hidden);
  const failure =
    open === undefined ? await probe([...asUser, 'id', '-u'], user.uid, options.signal) : `any user may list ${open}: chmod o-r it`;
  if (failure !== undefined) return `a user of its own: ${failure}`;
  return {
    mode: 'user',
    gaps: [FILES_OPEN],
    inside: (argv) => [...asUser, ...argv],
    async giveFolder(folder) {
      await giveTo(user)(folder);
      const reachable = await runCommand([...asUser, 'test', '-w', folder], { cwd: '/', env: minimalEnvironment('/') });
      if (reachable.exitCode !== 0)
        throw new PluginError({
          code: 'SANDBOX_FOLDER_UNREACHABLE',
          message: `The sandbox's user cannot reach ${folder}: a folder above it is closed to other users`,
          hint: 'apt-get install bubblewrap (it needs no open folders), or chmod o+x the folders above.',
          recovery: 'stop',
        });
    },
  };
};

const findConfinement = async (options: SandboxOptions, limits: SandboxLimits): Promise<Confinement> => {
  const isRoot = process.getuid?.() === 0;
  const user = options.user ?? DEFAULT_SANDBOX_USER;
  const setpriv = options.programs?.setpriv ?? findProgram('setpriv');
  const namespaces = await findNamespaces(options, { isRoot, user, setpriv, limits });
  if (typeof namespaces !== 'string') return namespaces;
  const reasons = [namespaces];
  if (isRoot && setpriv !== undefined) {
    const other = await findUser(options, user, setpriv);
    if (typeof other !== 'string') return other;
    reasons.push(other);
  }
  if (options.trusted !== true) throw unavailable(reasons, isRoot);
  return { mode: 'trusted', gaps: [], inside: (argv) => argv, giveFolder: nothingToGive };
};

/** The first place for control groups in which a command really runs inside its limits. */
const chooseGroups = async (
  settings: Omit<WorkSettings, 'groups'>,
  signal: AbortSignal | undefined,
): Promise<ControlGroups | undefined> => {
  const isRoot = process.getuid?.() === 0;
  for (const groups of await findControlGroups(isRoot)) {
    const argv = workCommand({ ...settings, groups }, ['true'], { folder: '/' });
    const tried = await runCommand(argv, {
      cwd: '/',
      env: minimalEnvironment('/'),
      timeoutMs: PROBE_TIMEOUT_MS,
      ...(signal === undefined ? {} : { signal }),
    }).catch(() => undefined);
    if (tried?.exitCode === 0) return groups;
  }
  return undefined;
};

/** Why no command can be given the outside and nothing else of the network; undefined when one was. */
const whyNoOutbound = async (
  { mode, filter, inside }: Confinement,
  settings: WorkSettings,
  options: SandboxOptions,
): Promise<string | undefined> => {
  if (mode !== 'namespaces') return 'there are no namespaces';
  const missing = [options.programs?.slirp4netns ?? 'slirp4netns', 'nft', 'unshare'].filter((name) => findProgram(name) === undefined);
  if (missing.length > 0) return `${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} not installed`;
  const user = options.user ?? DEFAULT_SANDBOX_USER;
  return withTemporaryFolder(async (folder) => {
    const command = inside(['id', '-u'], { folder, network: 'outbound' });
    const work = { folder, accounts: accountFiles(user, folder), filter, outbound: outboundArguments([]) };
    return probe(workCommand({ ...settings, groups: undefined }, command, work), user.uid, options.signal);
  });
};

/**
 * Finds out, by running it, how code of the delivered repositories can be confined on this machine: bubblewrap; else, for root, a user of its own;
 * else none, if the repositories are trusted. Each command runs inside the limits; what cannot be bounded here is among the gaps.
 *
 * @throws PluginError `SANDBOX_UNAVAILABLE` (stop)
 */
export const createSandbox = async (options: SandboxOptions): Promise<Sandbox> => {
  const limits = options.limits ?? DEFAULT_SANDBOX_LIMITS;
  const confinement = await findConfinement(options, limits);
  const prefix = controlGroupPrefix();
  const groups = options.programs?.controlGroups === false ? undefined : await chooseGroups({ limits, prefix }, options.signal);
  if (groups !== undefined) await sweepControlGroups(groups.folders, prefix);
  const settings: WorkSettings = { limits, groups, prefix };
  const prlimit = [options.programs?.prlimit ?? findProgram('prlimit')].find((path) => path !== undefined && existsSync(path));
  const user = options.user ?? DEFAULT_SANDBOX_USER;
  const { mode, filter, inside, giveFolder } = confinement;

  const wanted = options.network ?? DEFAULT_SANDBOX_NETWORK;
  const hasNoOutbound = wanted.mode === 'outbound' ? await whyNoOutbound(confinement, settings, options) : undefined;
  const effective = (network: SandboxNetworkMode): SandboxNetworkMode =>
    mode !== 'namespaces' || (network === 'outbound' && hasNoOutbound !== undefined) ? 'full' : network;

  const confine: Sandbox['confine'] = (argv, given) => {
    const environment = confinedEnvironment(options.path ?? [], given);
    /**
     * The confined code's environment is set inside, once all rights are gone: it may come from the repository, and `LD_PRELOAD` or `BASH_ENV` would
     * else be code that runs as pipit.
     */
    const limited = [
      ...processLimits(prlimit, settings),
      ...['/usr/bin/env', '--ignore-environment', '--'],
      ...Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      ...argv,
    ];
    const accounts = mode === 'namespaces' ? { accounts: accountFiles(user, given.folder), filter } : {};
    const network = effective(given.network ?? wanted.mode);
    const outbound = network === 'outbound' ? { outbound: outboundArguments(wanted.allow) } : {};
    const command = inside(limited, { ...given, network });
    return { argv: workCommand(settings, command, { ...given, ...accounts, ...outbound }), env: groupsEnvironment(groups) };
  };

  const gaps = [...confinement.gaps, ...limitGaps(mode, settings, prlimit), ...networkGaps(mode, wanted.mode, hasNoOutbound)];
  return { mode, gaps, confine, giveFolder };
};
