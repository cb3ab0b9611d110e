import { readFile, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { LayerName } from './layers.js';

/** What is fixed of a host for the life of its lab. */
export interface HostRecord {
  readonly name: string;
  readonly address: string;
  /** Place in the list, from 0. */
  readonly index: number;
  readonly layers: readonly LayerName[];
  readonly diskBytes?: number;
}

/** What a lab's folder says of it, in `lab.json`: enough to work with it, and to take it down, from any process. */
export interface LabRecord {
  readonly version: 1;
  /** Six hexadecimal digits in the names of all that belongs to the lab on this machine. */
  readonly token: string;
  /** Absolute. */
  readonly folder: string;
  /** `10.77.0.0/24`. */
  readonly subnet: string;
  readonly bridge: string;
  readonly bridgeAddress: string;
  /** Absolute path of the lab's cgroup. */
  readonly cgroup: string;
  readonly hosts: readonly HostRecord[];
}

const stateFile = (folder: string): string => join(folder, 'lab.json');

export const hostFolder = (lab: LabRecord, host: HostRecord): string => join(lab.folder, 'hosts', host.name);
export const hostRoot = (lab: LabRecord, host: HostRecord): string => join(hostFolder(lab, host), 'root');
export const hostCgroup = (lab: LabRecord, host: HostRecord): string => join(lab.cgroup, host.name);
export const hostNamespace = (lab: LabRecord, host: HostRecord): string => `plab-${lab.token}-${host.name}`;
/** The end of the host's cable that is in the bridge. 15 characters are the longest name of a link. */
export const hostLink = (lab: LabRecord, host: HostRecord): string => `pl${lab.token}h${host.index}`;
/** Hardware address of the bridge: what tells this lab's bridge from another's of the same name. */
export const bridgeHardwareAddress = (token: string): string => `02:50:00:${token.slice(0, 2)}:${token.slice(2, 4)}:${token.slice(4, 6)}`;

export const saveLabRecord = async (lab: LabRecord): Promise<void> => {
  const file = stateFile(lab.folder);
  await writeFile(`${file}.new`, `${JSON.stringify(lab, undefined, 2)}\n`);
  await rename(`${file}.new`, file);
};

/**
 * The lab that a folder holds; undefined when there is none.
 * @throws Error when the folder's lab was made by another version.
 */
export const readLabRecord = async (folder: string): Promise<LabRecord | undefined> => {
  let text: string;
  try {
    text = await readFile(stateFile(resolve(folder)), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const record = JSON.parse(text) as LabRecord;
  if (record.version !== 1) throw new Error(`${stateFile(folder)} is of another version of the lab`);
  return record;
};
