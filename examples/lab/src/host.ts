import { execInHost, initPid, killHost, startHost, stopHost } from './host-process.js';
import { type HostRecord, hostRoot, type LabRecord } from './lab-state.js';
import type { LayerName } from './layers.js';
import { isCut, setCable } from './network.js';
import type { CommandOptions, CommandResult } from './run-command.js';

export type HostState = 'running' | 'stopped';

/** A real systemd host with sshd, in namespaces of this machine. */
export interface LabHost {
  readonly name: string;
  /** Its address on the lab's network. */
  readonly address: string;
  readonly layers: readonly LayerName[];
  /** Its root folder as seen from this machine, also while it is stopped. What is mounted inside (/run, /tmp, /proc) is not in it. */
  readonly rootFolder: string;
  /** Pid, on this machine, of its init; undefined while it is stopped. */
  readonly pid: () => Promise<number | undefined>;
  readonly state: () => Promise<HostState>;
  /** Whether its cable is out. */
  readonly isCut: () => Promise<boolean>;
  /** Starts it on the disk it has and waits until it is up (until init runs, when it is cut). Harmless when it runs. */
  readonly start: () => Promise<void>;
  /** Shuts it down in order. Its disk, address and cable stay. */
  readonly stop: () => Promise<void>;
  /** Cuts its power. */
  readonly kill: () => Promise<void>;
  /** Pulls its cable out: packets are lost, connections hang. */
  readonly cut: () => Promise<void>;
  /** Puts its cable in again. */
  readonly heal: () => Promise<void>;
  /** Runs a command in it as root, without the network. An exit code is an answer. @throws Error when the host is stopped. */
  readonly exec: (argv: readonly string[], options?: CommandOptions) => Promise<CommandResult>;
}

export const makeHost = (lab: LabRecord, host: HostRecord): LabHost => ({
  name: host.name,
  address: host.address,
  layers: host.layers,
  rootFolder: hostRoot(lab, host),
  pid: () => initPid(lab, host),
  state: async () => ((await initPid(lab, host)) === undefined ? 'stopped' : 'running'),
  isCut: () => isCut(lab, host),
  start: async () => startHost(lab, host, { cut: await isCut(lab, host) }),
  stop: () => stopHost(lab, host),
  kill: () => killHost(lab, host),
  cut: () => setCable(lab, host, 'down'),
  heal: () => setCable(lab, host, 'up'),
  exec: (argv, options) => execInHost(lab, host, argv, options),
});
