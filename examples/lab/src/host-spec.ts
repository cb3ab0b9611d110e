import type { LayerName } from './layers.js';

/** One host of a new lab. */
export interface HostSpec {
  /** Its name, also in `/etc/hosts` of all hosts of the lab: lower-case letters, digits and `-`, at most 40 characters. */
  readonly name: string;
  /** What is installed on it beyond the base; several roles may be named. Default: the base alone. */
  readonly layer?: LayerName | readonly LayerName[];
  /** Size of its disk in bytes, of what it writes beyond its image (kept in memory). Default: the room of the lab's folder. */
  readonly diskBytes?: number;
}
