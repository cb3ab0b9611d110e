import { statfsSync } from 'node:fs';
import type { ConfineOptions, Labels } from '@pipit/core';
import { minimalEnvironment } from '../command/minimal-environment.js';
import type { ControlGroups } from './control-groups.js';
import { WORK_SCRIPT } from './work-script.js';

/** What one piece of work may use: a build, one command of a packaging, an install, a service. */
export interface SandboxLimits {
  readonly memoryBytes: number;
  /** Processes and threads. */
  readonly tasks: number;
  /** Cores; may be a fraction. */
  readonly cpu: number;
  /** In the folders that it may write to. */
  readonly diskBytes: number;
  /** Files and folders there. */
  readonly files: number;
  /** Of one file. */
  readonly fileBytes: number;
}

export const DEFAULT_SANDBOX_LIMITS: SandboxLimits = {
  memoryBytes: 2 * 1024 ** 3,
  tasks: 1024,
  cpu: 2,
  diskBytes: 10 * 1024 ** 3,
  files: 1_000_000,
  fileBytes: 4 * 1024 ** 3,
};

/** What no work may take of a file system: the database and everybody's else stand there too. */
const MAX_RESERVE_BYTES = 1024 ** 3;
const RESERVE_SHARE = 0.05;

export interface WorkSettings {
  readonly limits: SandboxLimits;
  readonly groups: ControlGroups | undefined;
  readonly prefix: string;
}

/** What one command is given, beside the limits. */
export interface WorkOptions extends ConfineOptions {
  /** passwd and group. */
  readonly accounts?: readonly [string, string];
  /** For `bwrap --seccomp 8`. */
  readonly filter?: Uint8Array | undefined;
  /** Arguments of the work's script, as `outboundArguments` makes them. */
  readonly outbound?: readonly string[];
}

const reserveOf = (folder: string): number => {
  const { blocks, bsize } = statfsSync(folder);
  return Math.floor(Math.min(MAX_RESERVE_BYTES, blocks * bsize * RESERVE_SHARE));
};

/** The command that runs `argv` inside its limits, and leaves nothing of it behind. */
export const workCommand = (
  { limits, groups, prefix }: WorkSettings,
  argv: readonly string[],
  { folder, writable = [], report, accounts, filter, outbound = [] }: WorkOptions,
): readonly string[] => [
  ...['/bin/bash', '--norc', '-c', WORK_SCRIPT, 'pipit-work'],
  ...(groups === undefined ? [] : [`prefix=${prefix}`, `groups=${groups.argument}`]),
  ...[`memory=${limits.memoryBytes}`, `tasks=${limits.tasks}`, `cpu=${Math.max(10, Math.round(limits.cpu * 1000))}`],
  ...[`disk=${limits.diskBytes}`, `inodes=${limits.files}`, `file=${limits.fileBytes}`, `reserve=${reserveOf(folder)}`],
  `folders=${[folder, ...writable].join('\n')}`,
  ...(report === undefined ? [] : [`report=${report}`]),
  ...(accounts === undefined ? [] : [`passwd=${accounts[0]}`, `group=${accounts[1]}`]),
  ...(filter === undefined ? [] : [`filter=${[...filter].map((byte) => `\\0${byte.toString(8).padStart(3, '0')}`).join('')}`]),
  ...outbound,
  '--',
  ...argv,
];

/** Limits of each process, for what control groups do not bound, and for what they never do. */
export const processLimits = (prlimit: string | undefined, { limits, groups }: WorkSettings): readonly string[] => {
  if (prlimit === undefined) return [];
  const has = (controller: 'memory' | 'pids'): boolean => groups?.controllers.includes(controller) === true;
  return [
    ...[prlimit, '--core=0:0', `--fsize=${limits.fileBytes}:${limits.fileBytes}`],
    // Not --as: runtimes reserve far more addresses than they use.
    ...(has('memory') ? [] : [`--data=${limits.memoryBytes}:${limits.memoryBytes}`]),
    ...(has('pids') ? [] : [`--nproc=${limits.tasks}:${limits.tasks}`]),
    '--',
  ];
};

/** What the work's script needs itself: a user's systemd is found by a folder. */
export const groupsEnvironment = (groups: ControlGroups | undefined): Labels => ({
  ...minimalEnvironment('/'),
  ...(groups?.argument === 'scope --user' ? { XDG_RUNTIME_DIR: `/run/user/${process.getuid?.()}` } : {}),
});
