import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { labUnavailable } from './availability.js';
import { findCgroupRoot } from './cgroup.js';
import { type HostState, type LabHost, makeHost } from './host.js';
import { mountDisk, personalizeDisk } from './host-disk.js';
import { startHost } from './host-process.js';
import type { HostSpec } from './host-spec.js';
import { bridgeHardwareAddress, type HostRecord, type LabRecord, readLabRecord, saveLabRecord } from './lab-state.js';
import { ensureLayers } from './layers.js';
import { connectHost, makeBridge, subnetPrefix } from './network.js';
import { runCommand, tryCommand } from './run-command.js';
import { TEARDOWN_SCRIPT, WARDEN_SCRIPT } from './teardown-script.js';

export type { HostSpec, HostState, LabHost };

/** A lab to make. */
export interface LabOptions {
  /** Where all of it is kept: state, disks, keys. Made when missing; may not hold a lab already. */
  readonly folder: string;
  readonly hosts: readonly HostSpec[];
  /** `10.x.y.0/24`. Default: 10.77.0.0/24, or the next that is free. */
  readonly subnet?: string;
  /**
   * Whether the lab goes on when this process ends. Default false: it is taken down when this process ends in any way, `kill -9` included.
   */
  readonly outlives?: boolean;
  /** How many hosts are brought up at a time. Default: all. A machine with few processors brings up twenty rather in fours. */
  readonly startAtOnce?: number;
  readonly signal?: AbortSignal;
}

/** A lab that is up. */
export interface Lab {
  readonly folder: string;
  /** `10.77.0.0/24`. */
  readonly subnet: string;
  /** This machine's address on the lab's network: serve here what the hosts are to reach. */
  readonly bridgeAddress: string;
  readonly hosts: readonly LabHost[];
  /** The host of that name. @throws Error when the lab has none. */
  readonly host: (name: string) => LabHost;
  /** Logs in as root or as `deploy` (who may use sudo without a password) on every host. */
  readonly privateKeyFile: string;
  /** One line, as `authorized_keys` has it. */
  readonly publicKey: string;
  /** Lines of a known_hosts file: one for each host, for its address and its name. */
  readonly knownHosts: readonly string[];
  /** A file with these lines. */
  readonly knownHostsFile: string;
  /** Settings for `ssh -F FILE NAME`: addresses, key, known hosts. */
  readonly sshConfigFile: string;
  /** Path of the cgroup for processes of this machine that belong to the lab: what is in it ends with the lab. Made when it is missing. */
  readonly servicesCgroup: string;
  /** Puts a process of this machine, with all that it starts, in the lab's keeping: `down` kills it. */
  readonly adopt: (pid: number) => Promise<void>;
  /** Lets the lab go on when this process ends. Harmless when repeated. */
  readonly keep: () => Promise<void>;
  /**
   * Takes all of it down and removes it: processes, namespaces, links, mounts, cgroups, disks. Harmless when repeated.
   * @throws Error that names what could not be removed.
   */
  readonly down: () => Promise<void>;
}

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/;
const FIRST_HOST = 11;
const MOST_HOSTS = 240;

const sshFolder = (folder: string): string => join(folder, 'ssh');

const teardownArguments = (lab: Pick<LabRecord, 'token' | 'folder' | 'cgroup'>): string[] => [
  lab.token,
  lab.folder,
  lab.cgroup,
  bridgeHardwareAddress(lab.token),
];

/** Takes the lab of a folder down, whatever is left of it. Harmless when there is none. */
export const takeDownLab = async (folder: string): Promise<void> => {
  const record = await readLabRecord(folder);
  if (record === undefined) return;
  const { exitCode, stderr } = await tryCommand(['sh', '-c', TEARDOWN_SCRIPT, 'sh', ...teardownArguments(record)]);
  if (exitCode !== 0) throw new Error(`The lab in ${record.folder} could not be taken down whole: ${stderr.trim()}`);
  for (const name of ['hosts', 'ssh', 'services', 'lab.json']) await rm(join(record.folder, name), { recursive: true, force: true });
};

const startWarden = async (lab: Pick<LabRecord, 'token' | 'folder' | 'cgroup'>): Promise<ChildProcess> => {
  const warden = spawn('sh', ['-c', WARDEN_SCRIPT, 'sh', ...teardownArguments(lab)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
  });
  await once(warden, 'spawn');
  warden.unref();
  return warden;
};

const dismissWarden = async (warden: ChildProcess | undefined): Promise<void> => {
  if (warden === undefined || warden.exitCode !== null || warden.signalCode !== null) return;
  const ended = once(warden, 'exit');
  warden.ref();
  warden.stdin?.end('keep\n');
  await ended;
};

const toLab = async (record: LabRecord, dismiss: () => Promise<void>): Promise<Lab> => {
  const ssh = sshFolder(record.folder);
  const cgroup = join(record.cgroup, 'services');
  const knownHosts = (await readFile(join(ssh, 'known_hosts'), 'utf8')).split('\n').filter(Boolean);
  const hosts = record.hosts.map((host) => makeHost(record, host));
  return {
    folder: record.folder,
    subnet: record.subnet,
    bridgeAddress: record.bridgeAddress,
    hosts,
    host: (name) => {
      const found = hosts.find((host) => host.name === name);
      if (found === undefined) throw new Error(`The lab has no host ${name}; it has ${hosts.map((host) => host.name).join(', ')}`);
      return found;
    },
    privateKeyFile: join(ssh, 'id_ed25519'),
    publicKey: (await readFile(join(ssh, 'id_ed25519.pub'), 'utf8')).trim(),
    knownHosts,
    knownHostsFile: join(ssh, 'known_hosts'),
    sshConfigFile: join(ssh, 'config'),
    servicesCgroup: cgroup,
    adopt: async (pid) => {
      await mkdir(cgroup, { recursive: true });
      await writeFile(join(cgroup, 'cgroup.procs'), String(pid));
    },
    keep: dismiss,
    down: async () => {
      await takeDownLab(record.folder);
      await dismiss();
    },
  };
};

/** The lab that a folder holds, made by whatever process; undefined when there is none. */
export const openLab = async (folder: string): Promise<Lab | undefined> => {
  const record = await readLabRecord(folder);
  return record === undefined ? undefined : toLab(record, async () => undefined);
};

const checkHosts = (hosts: readonly HostSpec[]): void => {
  for (const { name } of hosts) if (!NAME.test(name)) throw new Error(`Not a name for a host: ${name}`);
  if (new Set(hosts.map(({ name }) => name)).size < hosts.length) throw new Error('Two hosts of a lab have the same name');
  if (hosts.some(({ name }) => name === 'services' || name === 'lab')) throw new Error('A host cannot be called services or lab');
  if (hosts.length > MOST_HOSTS) throw new Error(`A lab has at most ${MOST_HOSTS} hosts`);
};

const toRecords = (hosts: readonly HostSpec[], subnet: string): HostRecord[] =>
  hosts.map(({ name, layer, diskBytes }, index) => ({
    name,
    address: `${subnetPrefix(subnet)}${FIRST_HOST + index}`,
    index,
    layers: layer === undefined ? [] : typeof layer === 'string' ? [layer] : layer,
    ...(diskBytes !== undefined && { diskBytes }),
  }));

const writeSshFiles = async (lab: LabRecord, hostKeys: ReadonlyMap<string, string>): Promise<void> => {
  const ssh = sshFolder(lab.folder);
  const lines = lab.hosts.map(({ name, address }) => `${address},${name} ${hostKeys.get(name) ?? ''}\n`);
  await writeFile(join(ssh, 'known_hosts'), lines.join(''));
  const config = lab.hosts.map(({ name, address }) => `Host ${name}\n  HostName ${address}\n  HostKeyAlias ${name}\n`);
  const common = `Host *\n  User root\n  IdentityFile "${join(ssh, 'id_ed25519')}"\n  IdentitiesOnly yes\n  UserKnownHostsFile "${join(ssh, 'known_hosts')}"\n  GlobalKnownHostsFile /dev/null\n`;
  await writeFile(join(ssh, 'config'), `${config.join('')}${common}`);
};

/**
 * Makes hosts and waits until they are up: systemd has started all it has to, sshd answers. Images that are missing are built first (a minute).
 * Needs root; {@link labUnavailable} says beforehand what is missing.
 * @throws Error when it cannot be made; nothing is left then.
 */
export const createLab = async (options: LabOptions): Promise<Lab> => {
  const unavailable = await labUnavailable();
  if (unavailable !== undefined) throw new Error(`No lab can be made here: ${unavailable}`);
  checkHosts(options.hosts);
  const { signal } = options;
  const folder = resolve(options.folder);
  if ((await readLabRecord(folder)) !== undefined) throw new Error(`${folder} holds a lab already: take it down first`);
  const cgroupRoot = (await findCgroupRoot()) ?? '';
  for (const { layers } of toRecords(options.hosts, '10.77.0.0/24')) await ensureLayers(layers, signal);
  const token = randomBytes(3).toString('hex');
  await mkdir(sshFolder(folder), { recursive: true });
  await mkdir(join(folder, 'hosts'), { recursive: true });
  const draft = { version: 1, token, folder, cgroup: join(cgroupRoot, `pipit-lab-${token}`) } as const;
  await saveLabRecord({ ...draft, subnet: '', bridge: '', bridgeAddress: '', hosts: [] });
  let warden: ChildProcess | undefined;
  try {
    // Before anything else is made: from here on a `kill -9` leaves nothing.
    warden = await startWarden(draft);
    const bridge = await makeBridge(token, options.subnet);
    const hosts = toRecords(options.hosts, bridge.subnet);
    const lab: LabRecord = { ...draft, subnet: bridge.subnet, bridge: bridge.name, bridgeAddress: bridge.address, hosts };
    await saveLabRecord(lab);
    await mkdir(lab.cgroup);
    const key = join(sshFolder(folder), 'id_ed25519');
    await runCommand(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'pipit-lab', '-f', key]);
    const publicKey = await readFile(`${key}.pub`, 'utf8');
    const hostKeys = new Map<string, string>();
    const bringUp = async (host: HostRecord): Promise<void> => {
      await Promise.all([connectHost(lab, host), mountDisk(lab, host, signal)]);
      hostKeys.set(host.name, await personalizeDisk(lab, host, publicKey));
      await startHost(lab, host, { ...(signal && { signal }) });
    };
    const waiting = [...lab.hosts];
    const bringUpInTurn = async (): Promise<void> => {
      for (let host = waiting.shift(); host !== undefined; host = waiting.shift()) await bringUp(host);
    };
    const outcomes = await Promise.allSettled(Array.from({ length: options.startAtOnce ?? lab.hosts.length }, bringUpInTurn));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    await writeSshFiles(lab, hostKeys);
    if (options.outlives) await dismissWarden(warden);
    return await toLab(lab, () => dismissWarden(warden));
  } catch (error) {
    await takeDownLab(folder);
    await dismissWarden(warden);
    throw error;
  }
};
