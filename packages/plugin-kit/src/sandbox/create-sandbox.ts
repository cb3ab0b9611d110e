import { existsSync } from 'node:fs';
import { lstat, mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConfineOptions, type Labels, PluginError, type RunResult, type Sandbox } from '@pipit/core';
import { minimalEnvironment, SYSTEM_PATH } from '../command/minimal-environment.js';
import { runCommand } from '../command/run-command.js';
import { type BubblewrapSettings, bubblewrapArguments, setprivArguments } from './bubblewrap-arguments.js';

export interface SandboxUser {
  readonly uid: number;
  readonly gid: number;
}

export interface SandboxOptions {
  /** Absolute paths that confined code must not see, folders or files: pipit's data folder, its config, files of keys, sockets. One that does not exist yet counts once it does. */
  readonly hidden: readonly string[];
  /** Absolute paths that stay visible, read-only, though they lie under a hidden one or a home: the folder of the running `node`. They are put on PATH, last. */
  readonly readable?: readonly string[];
  /** Who confined code runs as. Default {@link DEFAULT_SANDBOX_USER}. When pipit is not root, it is so only inside. */
  readonly user?: SandboxUser;
  /** The config says that the repositories are trusted: without any sandbox to be had, confined code runs as pipit does. */
  readonly trusted?: boolean;
  readonly signal?: AbortSignal;
  /** Where the programs are. Default: looked up on the system's PATH. */
  readonly programs?: { readonly bwrap?: string; readonly setpriv?: string };
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

/** Pipit's own home. System users have a home that everybody needs (`/`, `/usr/sbin`): it stays visible. */
const ownHome = (): readonly string[] => [homedir()].filter((home) => !/^\/(?:$|(?:usr|bin|sbin|etc|lib|dev|proc)(?:\/|$))/.test(home));

/** Why a plain change of user would not hide a path: anybody may list it. */
const openHiddenPath = async (hidden: readonly string[]): Promise<string | undefined> => {
  const OTHERS_READ = 0o004;
  for (const path of hidden) {
    const found = await lstat(path).catch(() => undefined);
    if (found !== undefined && (found.mode & OTHERS_READ) !== 0) return path;
  }
  return undefined;
};

const confinedEnvironment = (readable: readonly string[], options: ConfineOptions): Labels => ({
  ...minimalEnvironment(options.folder),
  PATH: [SYSTEM_PATH, ...readable].join(':'),
  ...options.env,
});

/**
 * Finds out, by running it, how code of the delivered repositories can be confined on this machine: bubblewrap; else, for root, a user of its own;
 * else none, if the repositories are trusted.
 *
 * @throws PluginError `SANDBOX_UNAVAILABLE` (stop)
 */
export const createSandbox = async (options: SandboxOptions): Promise<Sandbox> => {
  const { signal } = options;
  const isRoot = process.getuid?.() === 0;
  const user = options.user ?? DEFAULT_SANDBOX_USER;
  const readable = options.readable ?? [];
  const bwrap = options.programs?.bwrap ?? findProgram('bwrap');
  const setpriv = options.programs?.setpriv ?? findProgram('setpriv');
  const reasons: string[] = [];

  const giveFolder = async (folder: string): Promise<void> => {
    if (!isRoot) return;
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

  if (bwrap === undefined || (isRoot && setpriv === undefined)) {
    reasons.push(bwrap === undefined ? 'bubblewrap is not installed' : 'setpriv is not installed');
  } else {
    const settings: BubblewrapSettings = {
      bwrap,
      setpriv: setpriv ?? '',
      hidden: [...options.hidden, ...ownHome()],
      readable,
      user,
      isRoot,
    };
    const failure = await withTemporaryFolder((folder) => probe(bubblewrapArguments(settings, ['id', '-u'], { folder }), user.uid, signal));
    if (failure === undefined)
      return {
        mode: 'namespaces',
        confine: (argv, confine) => ({
          argv: bubblewrapArguments(settings, argv, confine),
          env: confinedEnvironment(readable, confine),
        }),
        giveFolder,
      };
    reasons.push(`bubblewrap: ${failure}`);
  }

  if (isRoot && setpriv !== undefined) {
    const asUser = setprivArguments(setpriv, user);
    const open = await openHiddenPath(options.hidden);
    const failure = open === undefined ? await probe([...asUser, 'id', '-u'], user.uid, signal) : `any user may list ${open}: chmod o-r it`;
    if (failure === undefined)
      return {
        mode: 'user',
        confine: (argv, confine) => ({ argv: [...asUser, ...argv], env: confinedEnvironment(readable, confine) }),
        async giveFolder(folder) {
          await giveFolder(folder);
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
    reasons.push(`a user of its own: ${failure}`);
  }

  if (options.trusted === true)
    return {
      mode: 'trusted',
      confine: (argv, confine) => ({ argv, env: confinedEnvironment(readable, confine) }),
      giveFolder: async () => undefined,
    };

  throw new PluginError({
    code: 'SANDBOX_UNAVAILABLE',
    message: `The code of repositories cannot be confined on this machine: ${reasons.join('; ')}`,
    hint: isRoot
      ? "apt-get install bubblewrap; in a container, give it CAP_SYS_ADMIN. Or set trustRepositories: true, if everybody who can push may also have pipit's keys."
      : "apt-get install bubblewrap, and allow user namespaces (sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000). Or set trustRepositories: true, if everybody who can push may also have pipit's keys.",
    recovery: 'stop',
  });
};
